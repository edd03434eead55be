FROM ubuntu
SHELL ["/bin/bash", "-o", "pipefail", "-ec"]
RUN ["/bin/bash", "-c", "echo hello | wc -c"]
RUN ["echo", "a\\b", "\u00e9", "tab\there"]
RUN [ "single" 'quoted' ]
RUN [[ -f /x ]] || true
RUN [ -f /etc/passwd ] && echo yes
CMD [ ]
ENTRYPOINT exec top -b
CMD ["-H", "-d 1"]
ENTRYPOINT ["/bin/sh", "-c", "echo \"$0\" $$"]
CMD [ "a" , "b" ]  
STOPSIGNAL 9
USER 1000:1000
WORKDIR relative/path
WORKDIR "quoted path"
WORKDIR /with spaces/in it
