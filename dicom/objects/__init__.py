"""DICOM objects the hub makes itself: the report as encapsulated PDF and as text, and selections of key images."""

from dicom.objects.facts import ImageReference as ImageReference
from dicom.objects.facts import Report as Report
from dicom.objects.facts import Section as Section
from dicom.objects.facts import StudyFacts as StudyFacts
from dicom.objects.writing import encapsulated_pdf as encapsulated_pdf
from dicom.objects.writing import key_object_selection as key_object_selection
from dicom.objects.writing import text_report as text_report
