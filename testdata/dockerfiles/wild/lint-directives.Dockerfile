# syntax=docker/dockerfile:1
# check=skip=JSONArgsRecommended,StageNameCasing;error=true
FROM alpine AS Base
# check=skip=WorkdirRelativePath
WORKDIR app
CMD echo hi
