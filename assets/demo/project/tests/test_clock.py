import unittest

from slots import parse, show


class Clock(unittest.TestCase):
    def test_there_and_back(self):
        self.assertEqual(show(parse("09:05-17:30")), "09:05-17:30")

    def test_backwards(self):
        with self.assertRaises(ValueError):
            parse("10:00-09:00")
