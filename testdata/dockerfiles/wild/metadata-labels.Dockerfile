FROM scratch
LABEL a=1 b="two words" c='single $x' d=esc\ aped "quoted key"="v" e=
LABEL multi.label1="value1" \
      multi.label2="value2" \
# a comment in between
      other="value3"
LABEL description="This text illustrates \
that label-values can span multiple lines."
LABEL com.example.vendor=ACME\ Incorporated
LABEL json="{\"a\": [1, 2], \"b\": \"c d\"}" url=https://example.com/?a=b&c=d#frag
