"""CloudWatch: the metrics that Outposts have sent, in the namespace AWS/Outposts."""

from testbed.api.cloudwatch import metrics

__all__ = ["metrics"]
