FROM alpine
ENV ONE one
ENV TWO=two THREE="th ree" FOUR=fo\ ur FIVE='five "quoted"'
ENV old style keeps   blanks = and "quotes"
ENV abc=hello
ENV abc=bye def=$abc
ENV ghi=$abc EMPTY= Q="" PATH=/x:${PATH}
ENV P=${abc:-x} S=${abc#h*} T=${abc%%e} U=${abc/b/B} V=${abc//e/E} W=${abc:+set} X=\$abc Y=${undefined-}
ENV Z="${abc:?must be set}" \
    ZZ='${not}'
