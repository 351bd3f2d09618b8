"""Opens declared inputs by their address: `pandas.read_csv("https://…")`, `urllib.request.urlopen`, `requests.get`.

The host has fetched them before the run; `inputs.json` says which address is which file. Any other address fails as it does
without a network, with a word on what to do. Libraries are touched when they are imported, not before."""

import json
import sys

_files: "dict[str, str]" = {}

HINT = (
    "there is no network where this runs. Fetch it beforehand: `pekka run --input {url} …`, "
    "or send it along as a file."
)


def plant(path: str) -> None:
    with open(path, encoding="utf-8") as file:
        _files.update({entry["url"]: entry["file"] for entry in json.load(file)})
    actions = {"urllib.request": _urllib, "requests.sessions": _requests}
    missing = {}
    for name, action in actions.items():
        if name in sys.modules:
            action(sys.modules[name])
        else:
            missing[name] = action
    if missing:
        sys.meta_path.insert(0, _Finder(missing))


def file_of(url: str) -> "str | None":
    """The file of an address; what stands behind `#` doesn't count."""
    return _files.get(url) or _files.get(url.partition("#")[0])


class _Finder:
    """Finds each module once, lets it load as it would, and acts on it."""

    def __init__(self, actions):
        self._actions = actions

    def find_spec(self, name, path=None, target=None):
        action = self._actions.pop(name, None)
        if action is None:
            return None
        if not self._actions and self in sys.meta_path:
            sys.meta_path.remove(self)
        import importlib.util

        spec = importlib.util.find_spec(name)
        if spec is not None and spec.loader is not None:
            load = spec.loader.exec_module

            def exec_module(module):
                load(module)
                action(module)

            spec.loader.exec_module = exec_module
        return spec


def _urllib(module) -> None:
    from email.message import Message
    from urllib.response import addinfourl

    class Inputs(module.BaseHandler):
        handler_order = 100

        def _open(self, request):
            url = request.full_url
            file = file_of(url)
            if file is None:
                raise module.URLError(HINT.format(url=url))
            opened = open(file, "rb")
            headers = Message()
            opened.seek(0, 2)
            headers["Content-Length"] = str(opened.tell())
            opened.seek(0)
            answer = addinfourl(opened, headers, url, 200)
            answer.msg = "OK"
            return answer

        http_open = https_open = _open

    # Before the handlers that would connect, in every opener that is made from now on.
    build = module.build_opener

    def build_opener(*handlers):
        opener = build(*handlers)
        opener.add_handler(Inputs())
        return opener

    module.build_opener = build_opener
    module.install_opener(build_opener())


def _requests(module) -> None:
    from requests.adapters import BaseAdapter
    from requests.exceptions import ConnectionError
    from requests.models import Response

    class Inputs(BaseAdapter):
        def send(self, request, stream=False, timeout=None, verify=True, cert=None, proxies=None):
            file = file_of(request.url)
            if file is None or request.method not in ("GET", "HEAD"):
                raise ConnectionError(HINT.format(url=request.url), request=request)
            from urllib3.response import HTTPResponse

            body = open(file, "rb")
            body.seek(0, 2)
            headers = {"Content-Length": str(body.tell())}
            body.seek(0)
            raw = HTTPResponse(body=body, status=200, headers=headers, preload_content=False, decode_content=False)
            response = Response()
            response.status_code, response.reason = 200, "OK"
            response.url, response.request, response.raw = request.url, request, raw
            response.headers.update(headers)
            return response

        def close(self):
            pass

    init = module.Session.__init__

    def __init__(self, *args, **kwargs):
        init(self, *args, **kwargs)
        self.mount("https://", Inputs())
        self.mount("http://", Inputs())

    module.Session.__init__ = __init__
