"""A bounded run of the fuzzer by a fixed seed; ``make fuzz`` goes on for as long as it is told."""
import pytest

from tests.conformance.fuzz import Campaign
from tests.conformance.response_fuzz import ResponseCampaign

SEED = 20
REQUESTS, RESPONSES, PART = 2000, 1000, 250


def test_whatever_comes_the_server_holds() -> None:
    campaign = Campaign(SEED, inputs=REQUESTS)
    failures = campaign.run()
    assert not failures, "\n".join(failures)
    assert campaign.tried == REQUESTS


@pytest.mark.parametrize("first", range(0, RESPONSES, PART))
def test_whatever_comes_the_client_holds(first: int) -> None:
    """In parts: each has a client and a connection for each response, which takes its time on a busy machine."""
    campaign = ResponseCampaign(SEED, first=first, inputs=PART)
    failures = campaign.run()
    assert not failures, "\n".join(failures)
    assert campaign.tried == PART
