"""Requests of the clinics: what is asked about a patient, by whom, how urgently (FHIR ServiceRequest)."""
