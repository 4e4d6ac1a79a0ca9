import unittest

from slots import free, merge, parse

DAY = parse("09:00-17:00")


class Merge(unittest.TestCase):
    def test_nothing(self):
        self.assertEqual(merge([]), [])

    def test_apart(self):
        self.assertEqual(merge([(30, 40), (10, 20)]), [(10, 20), (30, 40)])

    def test_overlapping(self):
        self.assertEqual(merge([(10, 20), (15, 30)]), [(10, 30)])

    def test_one_within_another(self):
        self.assertEqual(merge([(10, 60), (20, 30)]), [(10, 60)])

    def test_touching(self):
        self.assertEqual(merge([(10, 20), (20, 30)]), [(10, 30)])

    def test_a_chain(self):
        self.assertEqual(merge([(10, 20), (20, 30), (30, 40), (50, 60)]), [(10, 40), (50, 60)])


class Free(unittest.TestCase):
    def test_an_empty_day(self):
        self.assertEqual(free([], DAY), [DAY])

    def test_a_full_day(self):
        self.assertEqual(free([DAY], DAY), [])

    def test_between_meetings(self):
        busy = [parse("10:00-11:00"), parse("14:00-15:30")]
        expected = [parse("09:00-10:00"), parse("11:00-14:00"), parse("15:30-17:00")]
        self.assertEqual(free(busy, DAY), expected)

    def test_a_short_meeting_within_a_long_one(self):
        busy = [parse("10:00-16:00"), parse("11:00-12:00")]
        self.assertEqual(free(busy, DAY), [parse("09:00-10:00"), parse("16:00-17:00")])
