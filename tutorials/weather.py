"""Asks a weather service how warm it is; test_weather.py and unittest_weather.py test it. See README.rst."""

from blockingio import HttpClient, HttpException, HttpStatus


def temperature(service: str, town: str) -> float | None:
    """Degrees Celsius; None where the service does not know the town."""
    try:
        return ask(service, town)
    except HttpException:  # it was cut off, or took too long: perhaps it goes better the second time
        return ask(service, town)


def ask(service: str, town: str) -> float | None:
    with HttpClient() as client:
        client.response_timeout = 1
        response = client.get_url(f"{service}/towns/{town}").close()
        if response.status_code == HttpStatus.NOT_FOUND:
            return None
        degrees: float = response.json()["celsius"]
        return degrees
