"""Who sent something, in words for people: what is stored is `node ID` or `person ID`."""


def name_of(column: str) -> str:
    """SQL: the name of the node or person that a column holds, null for one that is no more."""
    return (
        f"coalesce((SELECT n.name FROM dicom_node n WHERE {column} = 'node ' || n.id),"
        f" (SELECT a.name FROM account a WHERE {column} = 'person ' || a.id))"
    )
