ARG FUNCTION_DIR="/function"
FROM public.ecr.aws/lambda/python:3.12 as build-image
ARG FUNCTION_DIR
RUN mkdir -p ${FUNCTION_DIR}
COPY requirements.txt ${LAMBDA_TASK_ROOT}
COPY --from=public.ecr.aws/lambda/python:3.12 /lambda-entrypoint.sh /
RUN pip install --target ${FUNCTION_DIR} awslambdaric
COPY app.py ${FUNCTION_DIR}/
ENTRYPOINT [ "/usr/local/bin/python", "-m", "awslambdaric" ]
CMD [ "app.handler" ]
