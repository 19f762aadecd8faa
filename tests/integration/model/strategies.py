"""What the model draws from: few values, chosen so that they meet each other."""

from hypothesis import strategies as st

from chronos_common.domain.outcomes import Failed, Succeeded
from integration.model.cluster import Fault

SECONDS = st.sampled_from([0.3, 1.0, 5.0, 6.0, 12.0, 16.0, 31.0, 70.0, 300.0])
INDEX = st.integers(0, 20)
FAULTS = st.one_of(st.just(Fault.NONE), st.sampled_from(Fault))
OVERLAPS = st.sampled_from(["allow", "skip", "queue_one", "cancel_running"])
USERS = st.sampled_from(
    [
        *("pause", "resume", "delete", "trigger", "cancel", "retry"),
        *("reschedule", "change policy"),
    ]
)
REDIS_FAULTS = st.sampled_from(
    ["flush", "redis_goes_or_comes", "repeat_a_message", "forge_messages"]
)
WORKER_FAULTS = st.sampled_from(["add", "kill", "freeze", "freeze", "thaw", "thaw", "stop"])
OUTCOMES = st.sampled_from(
    [Succeeded(), Failed("500 Internal Server Error"), Failed("404 Not Found", permanent=True)]
)
SCHEDULES = st.one_of(
    st.sampled_from([3, 7, 30]).map(
        lambda seconds: {"schedule_type": "interval", "interval_seconds": seconds}
    ),
    st.sampled_from([5, 10, 15]).map(
        lambda seconds: {
            "schedule_type": "cron",
            "cron_expression": f"*/{seconds} * * * * *",
        }
    ),
)
POLICIES = st.fixed_dictionaries(
    {
        "misfire_policy": st.sampled_from(["run_latest", "run_all", "skip"]),
        "overlap_policy": st.sampled_from(["allow", "allow", "skip", "queue_one"]),
        "misfire_grace_seconds": st.sampled_from([0.0, 10.0, 60.0]),
        "max_attempts": st.sampled_from([1, 3]),
    }
)
