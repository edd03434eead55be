FROM alpine
RUN echo one \
    && echo two \   
    # indented comment

    && echo after blank \
#comment at the margin
    && echo "string with \
continuation inside" \
\
    && echo last
RUN echo trailing backslash in quotes '\\' \
  && echo '# kept' "#kept" a#b
ENV A=1 \
    # comment
    B=2 \

    C=3
RUN echo tabs	and  several   blanks
RUN	echo tab after keyword
RUN echo done \
