"""Run the suite of the project in the working directory; print {"passed": n, "total": n} as the last line."""

import json
import unittest

suite = unittest.defaultTestLoader.discover("tests", top_level_dir=".")
total = suite.countTestCases()
result = unittest.TextTestRunner(verbosity=2).run(suite)
print(json.dumps({"passed": total - len(result.failures) - len(result.errors), "total": total}))
