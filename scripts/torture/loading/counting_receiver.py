"""A receiver of a million deliveries, in a process of its own, that is down at first."""
import array
import multiprocessing
import re
import uuid

from kill9 import free_port
from webhook_receiver import Receiver

NUMBER = re.compile(rb'"n":(\d+)')


class Counting(Receiver):
    """Counts what it is told, by number of the row, and keeps an id of each."""

    def __init__(self, port, rows):
        super().__init__(port=port)
        self.times, self.ids, self.differing = bytearray(rows), array.array("Q", bytes(8 * rows)), 0
        self.total = 0

    def record(self, delivery):
        number = int(NUMBER.search(delivery.body).group(1))
        name = uuid.UUID((delivery.id or "").removeprefix("wh_")).int & (2**64 - 1)
        if self.times[number] and self.ids[number] != name:
            self.differing += 1
        self.times[number] = min(255, self.times[number] + 1)
        self.ids[number] = name
        self.total += 1


ANSWER, COUNT, END = range(3)


def receive(port, rows, delay, commands, answers):
    """The receiver, in a process of its own. Tells how it stands whenever it is asked."""
    with Counting(port, rows) as receiver:
        receiver.delay = delay
        answers.put(None)
        while (command := commands.get()) != END:
            if command == ANSWER:
                receiver.delay = 0
            missing = receiver.times.count(0)
            answers.put((receiver.total, missing, receiver.differing, len(set(receiver.ids)) if not missing else None))


class ReceiverProcess:
    """Down at first: nobody listens at its port, or somebody listens and never answers."""

    def __init__(self, rows, hangs):
        context = multiprocessing.get_context("spawn")
        self.port, self.rows, self.hangs = free_port(), rows, hangs
        self.commands, self.answers, self.start = context.Queue(), context.Queue(), context.Process
        self.process = None

    def __enter__(self):
        if self.hangs:
            self.listen(None)
        return self

    def __exit__(self, *_):
        if self.process:
            self.commands.put(END)
            self.process.join(timeout=20)
            self.process.kill()

    def listen(self, delay):
        arguments = (self.port, self.rows, delay, self.commands, self.answers)
        self.process = self.start(target=receive, args=arguments, daemon=True)
        self.process.start()
        self.answers.get(timeout=60)

    def come(self):
        if self.hangs:
            self.ask(ANSWER)
        else:
            self.listen(0)

    def ask(self, command=COUNT):
        self.commands.put(command)
        return self.answers.get(timeout=60)
