"""The doctor: asks the parts of a running service how they are, and names what is most likely wrong with it."""

from app.doctor.asking import Questions, ask
from app.doctor.diagnosis import diagnose
from app.doctor.report import to_json, to_text

__all__ = ["Questions", "ask", "diagnose", "to_json", "to_text"]
