"""Guesses the number that number_thinker.py thinks of, once a second until it is right. See README.rst."""

import random
import sys
import time

from blockingio import HttpClient, HttpException, HttpStatus
from blockingio.wire_view import WireView

try:
    with HttpClient() as client:
        if "--wire" in sys.argv:
            client.wire_log = WireView()
        while True:
            guess = random.randrange(10)
            print(f"Is it {guess}?")
            request = client.get("localhost", 4041, f"/?q={guess}")
            response = request.close()
            answer = response.read().decode()
            print(answer, end="")
            if response.status_code != HttpStatus.OK:
                sys.exit(f"The number thinker answered {response.status_code}: I give up.")
            if answer.startswith("true"):
                break
            time.sleep(1)
except (OSError, HttpException) as error:
    sys.exit(f"{error}.  Does number_thinker.py run?")
except KeyboardInterrupt:
    pass
