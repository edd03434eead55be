"""A small web application: greets whoever asks."""

import os

from bottle import route, run


@route("/<name>")
def greet(name):
    return f"{name} from a container\n"


run(host="127.0.0.1", port=int(os.environ["PORT"]), quiet=True)
