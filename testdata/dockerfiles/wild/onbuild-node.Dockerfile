FROM node:8
RUN mkdir -p /usr/src/app
WORKDIR /usr/src/app
ONBUILD ARG NODE_ENV
ONBUILD ENV NODE_ENV $NODE_ENV
ONBUILD COPY package.json /usr/src/app/
ONBUILD RUN npm install && npm cache clean --force
ONBUILD COPY . /usr/src/app
ONBUILD HEALTHCHECK --interval=5m CMD curl -f http://localhost/ || exit 1
ONBUILD USER node
CMD [ "npm", "start" ]
