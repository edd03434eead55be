# syntax=docker/dockerfile:1
FROM node:20
RUN --mount=type=secret,id=npmrc,target=/root/.npmrc,required=true npm ci
RUN --mount=type=secret,id=aws,env=AWS_SECRET_ACCESS_KEY --mount=type=secret,id=k,mode=0400,uid=100,gid=101 ./publish
RUN mkdir -p -m 0700 ~/.ssh && ssh-keyscan example.com >> ~/.ssh/known_hosts
RUN --mount=type=ssh ssh -q -T git@example.com 2>&1 | tee /hello
RUN --mount=type=ssh,id=deploy,required \
    --mount=type=cache,target=/root/.cache,sharing=private,uid=1000,mode=0700 \
    git clone git@example.com:x/y.git
