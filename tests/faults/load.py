"""Senders: each sends its batches again until they are answered 200, as SDKs do, and remembers which were."""

import base64
import http.client
import json
import threading
import time
from types import TracebackType
from urllib.parse import urlsplit

SEND_SECONDS = 20
AGAIN_SECONDS = 0.2
LAST_SECONDS = 180
EVENT = "Seen"


class Load:
    """Threads that send until they are told to stop.

    Parameters
    ----------
    base_url, write_key : str
        Where to, and as which source.
    tag : str
        Begins every id, so that runs do not meet.
    senders, items : int
        How many threads, and how many messages a request has.
    pause : float
        Seconds between two requests of a thread.
    people : int
        About how many people the messages are.
    padding : int
        Characters added to each message.
    """

    def __init__(
        self, base_url: str, write_key: str, *, tag: str, senders: int = 2, items: int = 25, pause: float = 0.08,
        people: int = 200, padding: int = 0,
    ) -> None:  # fmt: skip
        self._host = urlsplit(base_url).netloc
        self._authorization = "Basic " + base64.b64encode(f"{write_key}:".encode()).decode()
        self.tag, self.items, self._pause, self._people = tag, items, pause, people
        self._padding = "x" * padding
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._hastens = threading.Event()
        self.accepted: set[str] = set()
        self.accepted_requests = 0
        self.last_accepted = ""
        self.sent = 0
        self.sent_again = 0
        self.on_the_way = 0
        self._threads = [threading.Thread(target=self._run, args=(number,)) for number in range(senders)]

    def __enter__(self) -> "Load":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._stop.set()
        if kind is not None:
            self._hastens.set()
        for thread in self._threads:
            thread.join()
        if kind is None:
            assert len(self.accepted) == self.sent, "Not everything could be sent in the end."

    def send_once(self, event: str, number: int) -> str:
        """Send one message of another event until it is accepted; return its id."""
        message_id = f"{self.tag}-{event.lower()}-{number}"
        message = {"type": "track", "event": event, "messageId": message_id, "userId": f"{self.tag}-{event}"}
        self._send_until_accepted([message], time.monotonic() + LAST_SECONDS)
        return message_id

    def _run(self, sender: int) -> None:
        batch = 0
        while not self._stop.is_set():
            messages = []
            for number in range(self.items):
                person = (sender * 31 + batch * self.items + number) % self._people
                messages.append({
                    "type": "track", "event": EVENT, "messageId": f"{self.tag}-{sender}-{batch}-{number}",
                    "userId": f"{self.tag}-{person}", "anonymousId": f"{self.tag}-anon-{person}",
                    "properties": {"of": self.tag, "padding": self._padding},
                })  # fmt: skip
            self._send_until_accepted(messages, None)
            batch += 1
            time.sleep(self._pause)

    def _send_until_accepted(self, messages: list[dict[str, object]], until: float | None) -> None:
        body = json.dumps({"batch": messages}).encode()
        with self._lock:
            self.sent += len(messages)
        while not self._send(body):
            if self._stop.is_set() and until is None:
                until = time.monotonic() + LAST_SECONDS
            if self._hastens.is_set() or (until is not None and time.monotonic() > until):
                return
            with self._lock:
                self.sent_again += len(messages)
            time.sleep(AGAIN_SECONDS)
        with self._lock:
            self.accepted.update(str(message["messageId"]) for message in messages)
            self.accepted_requests += 1
            if messages[0]["event"] == EVENT:
                self.last_accepted = str(messages[0]["messageId"])

    def _send(self, body: bytes) -> bool:
        connection = http.client.HTTPConnection(self._host, timeout=SEND_SECONDS)
        with self._lock:
            self.on_the_way += 1
        try:
            connection.request("POST", "/v1/batch", body, {"Authorization": self._authorization})
            answer = connection.getresponse()
            answer.read()
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()
            with self._lock:
                self.on_the_way -= 1
        # Anything but "send it again" would be a fault of this test or of the product.
        assert answer.status in {200, 429, 503}, answer.status
        return answer.status == 200
