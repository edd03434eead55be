FROM gitpod/workspace-full

USER gitpod

RUN bash -c ". .nvm/nvm.sh \
    && nvm install 20 \
    && nvm alias default 20"
RUN bash -c 'echo -e "\nexport PATH=$PATH" >> "$HOME/.bashrc"'
ENV TRIGGER_REBUILD=3 \
    GIT_PS1="\u@\h:\w\$(__git_ps1 ' (%s)')\$ "
