"""A bounded run of the fuzzer by a fixed seed; ``make fuzz`` goes on for as long as it is told."""
from tests.conformance.fuzz import Campaign

SEED = 20
INPUTS = 2000


def test_whatever_comes_the_server_holds() -> None:
    campaign = Campaign(SEED, inputs=INPUTS)
    failures = campaign.run()
    assert not failures, "\n".join(failures)
    assert campaign.tried == INPUTS
