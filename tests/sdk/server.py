"""`cml serve` as a process."""

import os
import signal
import subprocess
import threading

USER_KEY = "user-key-of-the-sdk-tests"
ADMIN_KEY = "admin-key-of-the-sdk-tests"

GREETING = "listening on "

# Settings of every server: its mode, and where the services of that mode are.
SERVICES = {}


class Server:
    """A server on a free port with a store in `folder`, as `settings` (CML_*) say."""

    def __init__(self, binary, folder, settings):
        environment = {
            "CML_API_KEY": USER_KEY,
            "CML_ADMIN_API_KEY": ADMIN_KEY,
            "CML_DB_PATH": str(folder / "memories.db"),
            "NO_COLOR": "1",
            **settings,
        }
        self._log = open(folder / "server.log", "w+", encoding="utf-8")
        self._process = subprocess.Popen(
            [os.path.abspath(binary), "serve", "--listen", "127.0.0.1:0"],
            cwd=folder,
            env={**os.environ, **SERVICES, **environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
        )
        line = self._process.stdout.readline().strip()
        if not line.startswith(GREETING + "http://127.0.0.1:"):
            self._process.kill()
            self._process.wait()
            raise RuntimeError(f"the first line of the server is {line!r}\n{self.log()}")
        self.url = line[len(GREETING) :]
        # What else it prints must not fill the pipe.
        threading.Thread(target=self._process.stdout.read, daemon=True).start()

    def log(self):
        self._log.flush()
        self._log.seek(0)
        return self._log.read()

    def stop(self):
        """Asks the server to end and checks that it does so well."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
        code = self._process.wait()
        log = self.log()
        assert code == 0, f"the server ended with {code}\n{log}"
        for secret in (USER_KEY, ADMIN_KEY):
            assert secret not in log, "a key stands in the log"
        assert "panicked" not in log, log
