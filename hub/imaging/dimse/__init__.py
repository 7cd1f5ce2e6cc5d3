"""DICOM over associations: receiving, queries, retrieval, worklist, commitment, and sending to other nodes."""
