"""People of one workspace: invited by e-mail, each with a role, and logins that end elsewhere."""

import re
from email import message_from_bytes, policy

import pytest
from playwright.sync_api import expect

from browser.desk import Desk, log_in
from rigs import wait_until

pytestmark = [pytest.mark.xdist_group("up"), pytest.mark.timeout(600)]

#: Sends a form of another page as a script of this page could, and returns the status.
POST = """async (path) => {
    const token = document.querySelector("[name=csrf_token]").value;
    const answer = await fetch(path, { method: "POST", headers: { "X-CSRF-Token": token } });
    return answer.status;
}"""


def invitation_for(desk: Desk, email: str) -> str:
    """Return the address in the e-mail that invites somebody."""
    found: list[str] = []

    def look() -> bool:
        for path in (desk.up.folder / "mail").glob("*.eml"):
            message = message_from_bytes(path.read_bytes(), policy=policy.default)
            if message["To"] == email:
                found.extend(
                    re.findall(r"^http\S+/ui/invitation\?\S+", message.get_content(), re.MULTILINE)
                )
        return bool(found)

    wait_until(look, within=60, every=0.05)
    return found[0]


def test_a_guest_sees_and_does_what_the_role_allows(desk: Desk) -> None:
    """Fails if a page offers, or the server allows, more than the role; or obeys it late."""
    owner, guest = desk.register(), desk.register()
    made = desk.create(owner, "Watched")
    with desk.visit(owner) as host, desk.visit(guest) as other:
        page = host.open("/ui/settings")
        page.get_by_label("Invite by e-mail").fill(guest.email)
        page.locator("form[action$=invitations] select").select_option("viewer")
        page.get_by_role("button", name="Invite").click()
        expect(page.get_by_text(f"{guest.email}, viewer")).to_be_visible()

        seen = other.page
        seen.goto(invitation_for(desk, guest.email))
        seen.get_by_role("button", name="Join").click()
        seen.wait_for_url("**/ui/w/*/")
        workspace = seen.url
        pause = f"{workspace}jobs/{made['id']}/pause"
        seen.goto(f"{workspace}jobs")
        expect(seen.get_by_role("link", name="Watched")).to_be_visible()
        for name in ("New job", "Edit", "Clone", "Delete…"):
            expect(seen.get_by_role("link", name=name)).to_have_count(0)
        expect(seen.get_by_label("Actions for Watched")).to_have_count(0)
        assert seen.evaluate(POST, pause) == 403
        seen.goto(f"{workspace}settings")
        expect(seen.get_by_text("Your role here is viewer.")).to_be_visible()

        page.reload()
        page.get_by_label(f"Role of {guest.email}").select_option("editor")
        page.get_by_role("row").filter(has_text=guest.email).get_by_role(
            "button", name="Set"
        ).click()
        expect(page.get_by_label(f"Role of {guest.email}")).to_have_value("editor")
        # The page that is open already may do it at once.
        assert seen.evaluate(POST, pause) == 200
        seen.goto(f"{workspace}jobs")
        expect(seen.get_by_label("Actions for Watched")).to_be_visible()
        expect(seen.get_by_role("row").filter(has_text="Watched")).to_contain_text("paused")
        assert seen.evaluate(POST, f"{workspace}settings/signing-secret") == 403
        other.forgive("the server responded with a status of 403")


def test_a_key_is_shown_once_and_the_audit_log_has_it(desk: Desk) -> None:
    with desk.visit(desk.register()) as visit:
        page = visit.open("/ui/settings")
        page.get_by_text("Make a key").click()
        page.get_by_label("Name", exact=True).last.fill("Robot")
        page.get_by_label("jobs:read").check()
        page.get_by_role("button", name="Make the key").click()
        key = page.locator("pre").filter(has_text="chr_")
        expect(key).to_be_visible()
        text = key.inner_text()
        page.goto(f"{visit.address}/ui/settings")
        row = page.get_by_role("row").filter(has_text="Robot")
        expect(row).to_contain_text("jobs:read")
        assert text not in page.content()
        page.get_by_text("Show it", exact=True).click()
        secret = page.get_by_text(re.compile("^whsec_")).inner_text()
        page.get_by_role("button", name="Replace it").click()
        page.get_by_text("Show it", exact=True).click()
        expect(page.get_by_text(re.compile("^whsec_"))).not_to_have_text(secret)
        audit = visit.open("/ui/audit")
        for action in ("key.create", "workspace.rotate_secret"):
            expect(audit.get_by_role("row").filter(has_text=action)).to_have_count(1)
        assert secret not in audit.content()


def test_a_login_that_ends_elsewhere_leads_to_the_login_page(desk: Desk) -> None:
    """Fails if a live page stays as it was: its next look at the server is a login page."""
    account = desk.register()
    with desk.visit(account) as visit, desk.visit(account) as elsewhere:
        elsewhere.page.context.clear_cookies()
        log_in(elsewhere, account)
        page = elsewhere.open("/ui/jobs")
        expect(page.locator("[data-live-state]")).to_have_text("● live")
        account_page = visit.open("/ui/account")
        others = account_page.get_by_role("button", name="End it")
        while left := others.count():
            others.first.click()
            expect(others).to_have_count(left - 1)
        desk.create(account, "Noticed")
        page.wait_for_url("**/ui/login?next=/ui/jobs")
        elsewhere.forgive("401")
