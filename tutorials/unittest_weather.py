"""Tests of weather.py with unittest. See README.rst."""

import unittest

from weather import temperature

from blockingio import HttpRequest
from blockingio.testing import serving


class Weather(unittest.TestCase):
    def test_a_town(self) -> None:
        with serving() as server:
            server.on("GET", "/towns/Rome", json={"town": "Rome", "celsius": 31.5})
            self.assertEqual(temperature(server.url, "Rome"), 31.5)

    def test_hotter_and_hotter(self) -> None:
        degrees = [20, 30]

        def hotter(request: HttpRequest) -> None:
            request.response.write(f'{{"celsius": {degrees.pop(0)}}}')
            request.response.close()

        with serving(hotter) as server:
            self.assertEqual(temperature(server.url, "Rome"), 20)
            self.assertEqual(temperature(server.url, "Rome"), 30)


if __name__ == "__main__":
    unittest.main()
