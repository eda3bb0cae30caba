"""A bridge with one fault, which its argument names. It uses only the standard library."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

FAULT = sys.argv[1]
HELLO = {"protocol": 1, "name": "misbehaving", "version": "0", "capabilities": ["AT_REST", "FILES", "CRASH"]}


def write(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()


def send(message: dict[str, Any]) -> None:
    write(json.dumps(message) + "\n")


def reply(request: dict[str, Any], result: object) -> None:
    send({"id": request["id"], "result": result})


def hello(request: dict[str, Any]) -> None:
    if FAULT == "says hello before it is asked":
        reply({"id": 7}, HELLO)
    elif FAULT == "never says hello":
        time.sleep(600)
    elif FAULT == "ends at once":
        print("no such database", file=sys.stderr)
        sys.exit(3)
    elif FAULT == "ends at once, content":
        sys.exit(0)
    elif FAULT == "speaks endlessly":
        reply(request, HELLO | {"capabilities": ["x" * 2**20]})
    elif FAULT == "prints a banner":
        write("My store, version 2\n")
    elif FAULT == "speaks another version":
        reply(request, HELLO | {"protocol": 2})
    elif FAULT == "says hello with a list":
        reply(request, [])
    elif FAULT == "says hello without a name":
        reply(request, {"protocol": 1, "version": "0", "capabilities": []})
    elif FAULT == "declares what does not exist":
        reply(request, HELLO | {"capabilities": ["TELEPATHY"]})
    elif FAULT == "takes no lines":
        reply(request, HELLO | {"maxLine": 10})
    else:
        reply(request, HELLO)


def get_session(request: dict[str, Any]) -> None:
    match FAULT:
        case "dies in mid-line":
            write('{"id": ' + str(request["id"]))
            sys.exit(1)
        case "is killed":
            print("Segmentation fault, they say", file=sys.stderr, flush=True)
            os.kill(os.getpid(), signal.SIGKILL)
        case "writes half a line":
            write('{"id": ' + str(request["id"]) + ', "res')
            time.sleep(600)
        case "closes its stdout":
            os.close(1)
            time.sleep(600)
        case "answers twice":
            reply(request, None)
            reply(request, None)
        case "answers what was never asked":
            reply({"id": 999}, None)
        case "answers with text for an id":
            reply({"id": str(request["id"])}, None)
        case "answers with result and error":
            send({"id": request["id"], "result": None, "error": {"type": "StorageError", "message": ""}})
        case "answers with neither":
            send({"id": request["id"]})
        case "writes NaN":
            write(f'{{"id": {request["id"]}, "result": NaN}}\n')
        case "writes no UTF-8":
            sys.stdout.buffer.write(b'{"id": %d, "result": "\xff"}\n' % request["id"])
            sys.stdout.buffer.flush()
        case "writes a list":
            write("[]\n")
        case "writes an empty line":
            write("\n")
        case "writes without end":
            while True:
                write("x" * 2**20)
        case "makes up a stand-in":
            write(f'{{"id": {request["id"]}, "result": {{"$": "nothing"}}}}\n')
        case "begins with a mark":
            write("\ufeff" + json.dumps({"id": request["id"], "result": None}) + "\n")
        case "ends lines twice":
            write(json.dumps({"id": request["id"], "result": None}) + "\r\n")
        case "writes two answers on a line":
            answer = json.dumps({"id": request["id"], "result": None})
            write(answer + answer + "\n")
        case "counts without end":
            write(f'{{"id": {request["id"]}, "result": {"1" * 10_000}}}\n')
        case "answers by a fraction":
            reply({"id": float(request["id"])}, None)
        case "drips":
            for character in json.dumps({"id": request["id"], "result": None}) + "\n":
                write(character)
                time.sleep(0.2)
        case "chats":
            while True:
                send({"log": {"level": "DEBUG", "message": "still at it"}})
        case "leaves a helper behind":
            helper = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
            print(f"helper {helper.pid}", file=sys.stderr, flush=True)
            os._exit(1)
        case "floods its stderr":
            sys.stderr.write("all is well\n" * 2**20)
            reply(request, None)
        case "raises without a message":
            send({"id": request["id"], "error": {"type": "StorageError"}})
        case "logs at no level":
            send({"log": {"level": "LOUD", "message": "hello"}})
        case "hangs":
            time.sleep(600)
        case _:
            reply(request, None)


def others(request: dict[str, Any]) -> None:
    match request["call"], FAULT:
        case "open", "opens nothing":
            reply(request, {})
        case "open", _:
            reply(request, {"handle": "h"})
        case "clearAll", "has something to say":
            reply(request, True)
        case "provision", "provisions with a result":
            reply(request, {"done": True})
        case "storedBytes", "shows no base64":
            reply(request, {"data": "ÿ", "next": None})
        case "storedBytes", "shows no parts":
            reply(request, "AAAA")
        case "storedFields", "shows no fields":
            reply(request, {"tokens": None})
        case "files", "has no files":
            reply(request, [])
        case "generateSessionIds", "counts wrongly":
            reply(request, ["a", "b"])
        case "generateSessionIds", "hangs at ids":
            time.sleep(600)
        case "destroy", "answers after the end":
            reply(request, None)
            reply(request, None)
        case _:
            reply(request, None)


for line in sys.stdin:
    message = json.loads(line)
    match message["call"]:
        case "hello":
            hello(message)
        case "getSession":
            get_session(message)
        case _:
            others(message)
if FAULT == "does not leave":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    time.sleep(600)
if FAULT == "leaves, and a helper stays":
    helper = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    Path(sys.argv[2]).write_text(str(helper.pid))
