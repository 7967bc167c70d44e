"""What S3's replies mean. Reasons are written for people and are the same for every record of one trouble.

Nothing of a reply is repeated but its code and region: error bodies hold key ids and the text that was signed.
"""

from __future__ import annotations

from tailrace.destinations._replies import retry_after_s
from tailrace.pipeline.messages import AUTHENTICATION, DELIVERED, REJECTED, RETRY, SPLIT, Outcome

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tailrace.pipeline.messages import Reply

_WORD = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-.")

# Codes that pass by themselves, or with a fresh signature, whatever the status (S3 answers some of them with 400).
_PASSING = frozenset(
    (
        "SlowDown", "InternalError", "ServiceUnavailable", "RequestTimeout", "OperationAborted", "BadDigest",
        "XAmzContentSHA256Mismatch", "IncompleteBody", "RequestTimeTooSkewed", "ConditionalRequestConflict",
        "TemporaryRedirect", "ThrottlingException", "Throttling", "RequestLimitExceeded",
    )
)  # fmt: skip

# Codes that pass when somebody changes something outside: a credential, a policy, the bucket, the key.
_REFUSALS = {
    "ExpiredToken": "the credentials have expired: give fresh ones",
    "InvalidToken": "the session token is not valid",
    "TokenRefreshRequired": "the session token must be renewed",
    "InvalidAccessKeyId": "the access key id is not known to S3: give the function the right AWS_ACCESS_KEY_ID",
    "SignatureDoesNotMatch": "the signature does not match: the secret access key is wrong (AWS_SECRET_ACCESS_KEY)",
    "AccessDenied": "access denied: the role needs s3:PutObject there",
    "AllAccessDisabled": "all access to the bucket has been disabled",
    "AccountProblem": "the account of the bucket has a problem",
    "InvalidPayer": "the account of the bucket has a problem",
    "NotSignedUp": "the account is not signed up for S3",
    "KMS.DisabledException": "the KMS key is disabled",
    "KMS.NotFoundException": "the KMS key does not exist",
    "KMS.KMSInvalidStateException": "the KMS key cannot be used in its state",
    "NoSuchBucket": "the bucket does not exist: create it, or correct its name",
}
# Refused for good or for a moment: only the code tells.
_MANY_MEANINGS = (400, 409)
_OTHER_REGION = frozenset(("PermanentRedirect", "AuthorizationHeaderMalformed", "IllegalLocationConstraintException"))


def classify_s3(reply: Reply, bucket: str, region: str) -> Outcome:
    """The meaning of a reply to PUT Object or HEAD Bucket, by S3's error code where there is one."""
    status = reply.status
    if 200 <= status < 300:
        return Outcome(DELIVERED)
    code = xml_text(reply.body, "Code")
    where = f's3 bucket "{bucket}"'
    if status == 301 or code in _OTHER_REGION:
        return _other_region(reply, code, where, region)
    if code in _PASSING or status in (307, 408, 425, 429) or (status >= 500 and status != 501):
        return Outcome(RETRY, f"{where}: status {status}{' ' + code if code else ''}", retry_after_s(reply))
    if code in _REFUSALS:
        return Outcome(AUTHENTICATION, f"{where}: {_REFUSALS[code]}")
    if status == 413 or code == "EntityTooLarge":
        return Outcome(SPLIT, f"{where}: the object is too large")
    if status in _MANY_MEANINGS and not code and not reply.is_whole:
        return Outcome(RETRY, f"{where}: status {status}, and the rest of the reply did not come")
    return _without_known_code(status, code, where)


def _without_known_code(status: int, code: str, where: str) -> Outcome:
    """Replies to HEAD have no body; stores that are only like S3 have codes of their own."""
    said = f"status {status}{' ' + code if code else ''}"
    if status in (401, 403):
        return Outcome(AUTHENTICATION, f"{where}: access denied ({said})")
    if status == 404:
        reason = _REFUSALS["NoSuchBucket"] if not code else "the store does not know it"
        return Outcome(AUTHENTICATION, f"{where}: {reason} ({said})")
    return Outcome(REJECTED, f"{where}: {said}")


def _other_region(reply: Reply, code: str, where: str, region: str) -> Outcome:
    right = _word(reply.headers.get("x-amz-bucket-region", "")) or xml_text(reply.body, "Region")
    if right and right != region:
        return Outcome(AUTHENTICATION, f"{where}: it is in region {right}, not {region}; set region={right}")
    said = f"status {reply.status}{' ' + code if code else ''}"
    return Outcome(AUTHENTICATION, f"{where}: it is not in region {region} or not behind this endpoint ({said})")


def xml_text(body: bytes, element: str) -> str:
    """The text of the first such element if it is one plain word, else nothing. S3's errors are that simple."""
    _, opening, rest = body.partition(f"<{element}>".encode())
    text, closing, _ = rest.partition(b"<")
    return _word(text.decode("ascii", "replace")) if opening and closing else ""


def _word(text: str) -> str:
    text = text.strip()
    return text if len(text) <= 64 and _WORD.issuperset(text) else ""
