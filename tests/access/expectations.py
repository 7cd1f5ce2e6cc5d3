"""What each route of the hub is called with, and what the table of actions says must come of it."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, Literal
from uuid import UUID, uuid4

from hub.core import changes, http
from hub.imaging.pictures.images import PDF_CLASS
from hub.people import access
from tests.access.objects import DRAFT, NOTE, Case, a_document, an_instance
from tests.imaging.tus import encoded
from tests.world import AT, PASSWORD

HUB = Path(__file__).parents[2] / "hub"
EDGES = ("routes", "live", "dicomweb", "mark_routes", "image_routes")  # that declare routes
Outcome = Literal["pass", "refuse", "either"]
Ids = dict[str, UUID | str]


def routes() -> list[http.Route]:
    """Every route the composer and every domain declare."""
    found = [*import_module("hub.app").OWN_ROUTES, changes.parts()[0]]
    for path in sorted(path for name in EDGES for path in HUB.rglob(f"{name}.py")):
        name = ".".join(path.relative_to(HUB.parent).with_suffix("").parts)
        found += getattr(import_module(name), "ROUTES", ())
    return found


def key(route: http.Route) -> str:
    return f"{route.method} {route.path}"


@dataclass(frozen=True)
class Call:
    """A valid body or query for a route; `names` are the objects it speaks of, besides those of the path."""

    body: Callable[[Case], dict[str, Any] | bytes] = lambda _: {}
    names: tuple[str, ...] = ()
    query: Callable[[Case], str] = lambda _: ""
    headers: Callable[[Case], dict[str, str]] = lambda _: {}
    organisation: bool = False  # speaks of an organisation of the tenant
    prepare: str = ""  # brings the objects into the state the call needs


def _text(ids: Ids, name: str) -> str:
    return str(ids[name])


def _place(case: Case, level: str) -> str:
    return str(case.tenant.organisations[level])


NEW_PATIENT = {"name": "赵六", "sex": "male", "birth_date": "1960-01-02", "id_type": "none"}
NEW_ACCOUNT = {"login": "newcomer", "name": "新人", "password": PASSWORD, "role": "technician"}

# An instance for the clinic that a query names.
STORED = Call(
    lambda _: an_instance(),
    query=lambda c: f"?organisation_id={_place(c, 'village')}",
    headers=lambda _: {"Content-Type": "application/dicom"},
    organisation=True,
)

_WITH_PATIENT = (
    "UPDATE dicom_study SET patient_id = %(patient_id)s, resolved_by = 'person' WHERE id = %(dicom_study_id)s"
)

# What a route needs to be answered with success; a route that isn't here is called without a body.
CALLS: dict[str, Call] = {
    "POST /api/session": Call(lambda c: {"login": f"{c.tenant.name}.reader", "password": PASSWORD}),
    "PUT /api/me": Call(lambda _: {"locale": "en"}),
    "POST /api/me/step-up": Call(lambda _: {"password": PASSWORD}),
    "POST /api/me/password": Call(lambda _: {"old_password": PASSWORD, "new_password": PASSWORD}),
    "POST /api/patients": Call(
        lambda c: NEW_PATIENT | {"organisation_id": _place(c, "village"), "confirm_duplicate": True},
        organisation=True,
    ),
    "POST /api/patients/{patient_id}/consents": Call(
        lambda _: {"kind": "monitoring", "given_how": "paper", "given_by": "x"}
    ),
    "POST /api/patients/{patient_id}/break-glass": Call(lambda _: {"reason": "x"}),
    "POST /api/accounts": Call(
        lambda c: NEW_ACCOUNT | {"organisation_id": _place(c, "village")}, organisation=True
    ),
    "POST /api/accounts/{account_id}/roles": Call(
        lambda c: {"role": "technician", "organisation_id": _place(c, "village")}
    ),
    "POST /api/accounts/{account_id}/password": Call(lambda _: {"password": PASSWORD}),
    "POST /api/agreements": Call(
        lambda c: {
            "from_organisation_id": _place(c, "town"),
            "to_organisation_id": _place(c, "hospital"),
            "study_kind": "holter",
        },
        organisation=True,
    ),
    "POST /api/requests": Call(
        lambda c: {"patient_id": _text(c.ids, "patient_id"), "kind": "holter", "question": "x"},
        names=("patient_id", "consent_id"),
    ),
    "POST /api/uploads": Call(
        headers=lambda c: {
            "Upload-Length": "2",
            "Upload-Metadata": encoded(request_id=c.ids["request_id"], filename="x", sha256="a" * 64),
        },
        names=("request_id",),
    ),
    "POST /api/ecg": Call(query=lambda c: f"?accession={c.accession}", names=("request_id",)),
    "GET /api/uploads": Call(query=lambda c: f"?request_id={c.ids['request_id']}", names=("request_id",)),
    "PATCH /api/uploads/{upload_id}": Call(
        headers=lambda _: {"Upload-Offset": "0", "Content-Type": "application/offset+octet-stream"}
    ),
    "POST /api/requests/{request_id}/cancel": Call(lambda _: {"reason": "x"}),
    "POST /dicom-web/studies": STORED,
    "POST /dicom-web/studies/{study_uid}": STORED,
    "POST /api/dicom/nodes": Call(
        lambda c: {
            "organisation_id": _place(c, "village"),
            "name": "x",
            "ae_title": "X",
            "with_token": True,
        },
        organisation=True,
    ),
    "PUT /api/images/{dicom_study_id}/annotations/{annotation_id}": Call(
        lambda c: {
            "instance_id": str(c.ids["dicom_instance_id"]),
            "frame": 1,
            "kind": "length",
            "points": [[0, 0], [1, 1]],
        },
        names=("dicom_instance_id",),
        prepare=_WITH_PATIENT,
    ),
    "GET /api/tasks/{task_id}/images": Call(
        names=("dicom_study_id",),
        prepare="""UPDATE study SET recording_id = NULL, dicom_study_id = %(dicom_study_id)s
            WHERE id = (SELECT study_id FROM task WHERE id = %(task_id)s)""",
    ),
    "DELETE /api/images/{dicom_study_id}/annotations/{annotation_id}": Call(prepare=_WITH_PATIENT),
    "GET /api/images/{dicom_study_id}/marks": Call(prepare=_WITH_PATIENT),
    "GET /api/images/{dicom_study_id}": Call(prepare=_WITH_PATIENT),
    "GET /api/images/{dicom_study_id}/priors": Call(prepare=_WITH_PATIENT),
    "GET /api/images/instances/{dicom_instance_id}/pixels": Call(prepare=_WITH_PATIENT),
    "GET /api/images/instances/{dicom_instance_id}/document": Call(
        prepare=f"""WITH of_patient AS ({_WITH_PATIENT})
            UPDATE dicom_instance SET sop_class_uid = '{PDF_CLASS}',
              file_sha256 = '{hashlib.sha256(a_document()).hexdigest()}' WHERE id = %(dicom_instance_id)s"""
    ),
    **dict.fromkeys(
        (
            "GET /api/images/instances/{dicom_instance_id}/frames/{number}/thumbnail",
            *(
                f"GET /dicom-web/studies/{{study}}{path}"
                for series in ("/series/{series}",)
                for one in (f"{series}/instances/{{instance}}",)
                for path in (
                    *("", series, one, "/metadata", f"{series}/metadata", f"{one}/metadata", "/series"),
                    *(
                        "/instances",
                        f"{series}/instances",
                        f"{one}/frames/{{frames}}",
                        f"{one}/bulkdata/{{bulkdata:.+}}",
                    ),
                )
            ),
            "GET /dicom-web/studies/{study}/thumbnail",
            "GET /dicom-web/studies/{study}/series/{series}/thumbnail",
            "GET /dicom-web/studies/{study}/series/{series}/instances/{instance}/thumbnail",
            "GET /dicom-web/studies/{study}/series/{series}/instances/{instance}/rendered",
            "GET /dicom-web/studies/{study}/series/{series}/instances/{instance}/frames/{number}/thumbnail",
            "GET /dicom-web/studies/{study}/series/{series}/instances/{instance}/frames/{number}/rendered",
        ),
        Call(prepare=_WITH_PATIENT),
    ),
    "DELETE /api/images/{dicom_study_id}/key-images/{dicom_instance_id}/{frame}": Call(prepare=_WITH_PATIENT),
    "PUT /api/images/{dicom_study_id}/key-images/{dicom_instance_id}/{frame}": Call(
        lambda _: {"note": "x"}, prepare=_WITH_PATIENT
    ),
    "POST /api/dicom/studies/{dicom_study_id}/assign": Call(
        lambda c: {"patient_id": _text(c.ids, "patient_id")}, names=("patient_id",)
    ),
    "POST /api/dicom/studies/{dicom_study_id}/unassign": Call(
        lambda _: {"reason": "x"},
        prepare=_WITH_PATIENT,
    ),
    "POST /api/devices": Call(
        lambda c: {
            "id": f"new-{uuid4().hex[:12]}",
            "kind": "holter",
            "name": "x",
            "organisation_id": _place(c, "village"),
        },
        organisation=True,
    ),
    "POST /api/devices/{device_id}/pair": Call(
        lambda c: {"patient_id": _text(c.ids, "patient_id")}, names=("patient_id",)
    ),
    "POST /api/devices/{device_id}/unpair": Call(
        names=("recording_id",), prepare="UPDATE recording SET status = 'ended' WHERE id = %(recording_id)s"
    ),
    "POST /api/devices/{device_id}/ask": Call(names=("recording_id",)),
    "POST /api/set-aside/replay": Call(lambda _: {"reason": "wrong-version"}),
    "POST /api/requests/{request_id}/recordings": Call(
        lambda c: {"device_id": _text(c.ids, "device_id")}, names=("device_id",)
    ),
    "POST /api/recordings/{recording_id}/cancel": Call(
        prepare="UPDATE recording SET status = 'requested', started_at = NULL WHERE id = %(recording_id)s"
    ),
    "POST /api/recordings/{recording_id}/discard-rest": Call(lambda _: {"reason": "x"}),
    "POST /api/recordings/{recording_id}/diary": Call(lambda _: {"at": AT.isoformat(), "text": "x"}),
    "GET /api/recordings/{recording_id}/samples": Call(query=lambda _: "?boot=1&first=0&count=250"),
    "POST /api/alarms/{alarm_id}/resolve": Call(
        lambda _: {"outcome": "x"},
        prepare="UPDATE alarm SET handling = 'owned', owner_id = %(technician)s WHERE id = %(alarm_id)s",
    ),
    "POST /api/incidents/{incident_id}/resolve": Call(lambda _: {"outcome": "x"}),
    "GET /api/tasks/{task_id}/case": Call(names=("analysis_id",)),
    "GET /api/analyses/{analysis_id}/beats": Call(query=lambda _: "?from_sample=0&to_sample=1000"),
    "POST /api/analyses/{analysis_id}/edits": Call(lambda _: {"operation": NOTE}),
    "PUT /api/tasks/{task_id}/draft": Call(lambda _: {"content": DRAFT, "revision": 1}),
    "POST /api/tasks/{task_id}/sign": Call(
        lambda c: {"revision": 1, "analysis_id": _text(c.ids, "analysis_id"), "edit_sequence": 1},
        names=("analysis_id",),
    ),
    "POST /api/reports/{report_id}/withdraw": Call(lambda _: {"reason": "x"}),
    "PUT /api/retention": Call(lambda _: {"kind": "log", "keep_days": 200, "enabled": False}),
    "PUT /api/routing": Call(
        lambda c: {"rules": [{"name": "x", "conditions": [], "to_organisation_id": _place(c, "hospital")}]},
        organisation=True,
    ),
    "PUT /api/forwarding": Call(lambda _: {"rules": []}),
    "POST /api/routing/dry-run": Call(
        lambda c: {
            "study_kind": "holter",
            "priority": "routine",
            "from_organisation_id": _place(c, "village"),
        }
    ),
}

# Only for whoever holds the role at the root of the tree; nobody in a district does.
ROOT_ONLY = {
    "PUT /api/retention",
    "PUT /api/routing",
    "PUT /api/forwarding",
    "GET /api/jobs/failed",
    "POST /api/jobs/{job_id}/retry",
}
# Only for the reader who has claimed the task: the case opens the patient.
CLAIMANT_ONLY = {
    "GET /api/tasks/{task_id}/case",
    "GET /api/tasks/{task_id}/images",
    "POST /api/analyses/{analysis_id}/edits",
}
# What readers may with images of patients whose task they have claimed; none is in the way of these paths.
OF_CLAIMED_PATIENT = {"images.annotate"}
# The family member holds a grant on every patient, the reader on those whose task it has claimed.
GRANT = "patient.read"
CLAIMED = {"task_id", "analysis_id", "report_id"}


def names(route: http.Route) -> list[str]:
    """The objects a call speaks of: path parameters, then those of its body."""
    parts = [part[1:-1].split(":")[0] for part in route.path.split("/") if part.startswith("{")]
    return [*parts, *CALLS.get(key(route), Call()).names]


def has_object(route: http.Route) -> bool:
    return bool(names(route)) or CALLS.get(key(route), Call()).organisation


def expected(route: http.Route, role: str | None, own: bool) -> Outcome:
    """What the table says for a role of a tenant (None: nobody signed in) and an object of its own or not."""
    action = access.ACTIONS[route.action]
    if action.anybody:
        return "pass"
    if role is None:
        return "refuse"
    if action.signed_in:
        return "pass"
    if key(route) in ROOT_ONLY or (key(route) in CLAIMANT_ONLY and role != "reader"):
        return "refuse"
    if "annotation_id" in names(route) and role != "village_doctor":
        return "refuse"  # only whose mark it is
    if route.action in OF_CLAIMED_PATIENT and role in access.READERS:
        return "refuse"
    held = any(role in rule.roles for rule in action.rules)
    if role == "reader" and action.grant == GRANT and not has_object(route):
        return "either"  # a list opens to whoever holds any grant; the test of lists looks into it
    granted_to = {"family_member", "reader"} if CLAIMED & set(names(route)) else {"family_member"}
    granted = action.grant == GRANT and role in granted_to
    return "pass" if (held or granted) and (own or not has_object(route)) else "refuse"
