"""The model against the tables and against valid input, and the parser against the model."""
import pytest

from tests.conformance import model
from blockingio.check.cases import Case, Cut, Ignored, Refused, Seen
from tests.conformance.judge import Summary
from tests.conformance.mutator import Mutator
from tests.conformance.test_wire import REQUESTS, read_requests

SEED = 5
INPUTS = 6000


@pytest.mark.parametrize("row", [row for _, row in REQUESTS], ids=[name for name, _ in REQUESTS])
def test_the_model_agrees_with_the_table(row: Case) -> None:
    reading = model.read(row.raw)
    for outcome in row.outcomes:
        message = reading.messages.pop(0) if reading.messages else None
        match outcome:
            case Seen(method, target, version, _, body):
                assert message and (message.method, message.version, message.body) == (method, version, body)
                assert target is None or message.target.lower() == target.lower()
            case Refused(_, or_seen):
                assert message.unsure if message else reading.ending == "bad" or reading.unsure, reading
                assert message or not or_seen, "the model knows what else it may be"
            case Cut():
                assert message is None and reading.ending == "cut"
            case Ignored():
                assert message is None and reading.ending == "end"
    assert not reading.messages


def test_inputs_are_the_same_again() -> None:
    first, again = Mutator(SEED), Mutator(SEED)
    assert [first.make(number) for number in range(50)] == [again.make(number) for number in range(50)]


def test_undamaged_inputs_are_taken_for_certain() -> None:
    whole = [fuzz for fuzz in map(Mutator(SEED).make, range(500)) if not fuzz.damages]
    assert len(whole) > 30
    for fuzz in whole:
        reading = model.read(fuzz.data)
        assert reading.ending in ("end", "close") and not any(message.unsure for message in reading.messages)


def test_damage_is_of_every_kind() -> None:
    """The mutator is worth its time: it makes good, bad and incomplete input in fair parts."""
    endings = [model.read(fuzz.data).ending for fuzz in map(Mutator(SEED).make, range(2000)) if fuzz.damages]
    for ending, least in (("bad", 0.3), ("end", 0.1), ("cut", 0.03), ("close", 0.01)):
        assert endings.count(ending) > least * len(endings), ending


def test_the_parser_agrees_with_the_model() -> None:
    """Invariant: whatever comes, the parser sees the requests that a strict reader sees, and no others."""
    for number in range(INPUTS):
        fuzz = Mutator(SEED).make(number)
        found = read_requests(fuzz.segments)
        seen = [one[:3] + (one.body,) for one in found if isinstance(one, Summary)]
        refusal = next((one for one in found if isinstance(one, int)), None)
        problems = model.disagreements(model.read(fuzz.data), model.Found(seen, refusal))
        assert not problems, f"seed {SEED}, input {number}: {problems}\n{fuzz.data!r}"
