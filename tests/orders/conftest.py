"""The same served world as the tests of people."""

from tests.people.conftest import clock as clock
from tests.people.conftest import hub as hub
from tests.people.conftest import two as two
