"""The alerts and the recording rules as code, with the tests that prove them."""
