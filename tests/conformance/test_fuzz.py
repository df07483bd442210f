"""A bounded run of the fuzzer by a fixed seed; ``make fuzz`` goes on for as long as it is told."""
from tests.conformance.fuzz import Campaign
from tests.conformance.response_fuzz import ResponseCampaign

SEED = 20
REQUESTS, RESPONSES = 2000, 1000


def test_whatever_comes_the_server_holds() -> None:
    campaign = Campaign(SEED, inputs=REQUESTS)
    failures = campaign.run()
    assert not failures, "\n".join(failures)
    assert campaign.tried == REQUESTS


def test_whatever_comes_the_client_holds() -> None:
    campaign = ResponseCampaign(SEED, inputs=RESPONSES)
    failures = campaign.run()
    assert not failures, "\n".join(failures)
    assert campaign.tried == RESPONSES
