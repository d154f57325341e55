"""Which adapters of traces the contract suite runs; the collector is one that is not there."""

CHOICES = {"otlp": {"endpoint": "http://127.0.0.1:9"}, "off": {}}
