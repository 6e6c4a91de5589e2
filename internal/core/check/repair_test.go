package check

import "testing"

// What jumps over pam_deny still does, with one line more on the way: else nobody would come in.
func TestLockoutKeepsTheWayIn(t *testing.T) {
	const was = "# here are the per-package modules\nauth\t[success=2 default=ignore]\tpam_unix.so nullok\nauth\t[success=1 default=ignore]\tpam_sss.so use_first_pass\n# here's the fallback\nauth\trequisite\tpam_deny.so\nauth\trequired\tpam_permit.so\n"
	const want = "# here are the per-package modules\nauth requisite pam_faillock.so preauth\nauth\t[success=3 default=ignore]\tpam_unix.so nullok\nauth\t[success=2 default=ignore]\tpam_sss.so use_first_pass\n# here's the fallback\nauth [default=die] pam_faillock.so authfail\nauth\trequisite\tpam_deny.so\nauth\trequired\tpam_permit.so\n"
	got, err := lockout([]byte(was))
	if err != nil || string(got) != want {
		t.Errorf("%v\n%s", err, got)
	}
	for _, other := range []string{
		"auth required pam_unix.so\n",
		"auth [success=1 default=ignore] pam_access.so\nauth required pam_code.so\nauth [success=1 default=ignore] pam_unix.so\nauth requisite pam_deny.so\nauth required pam_permit.so\n",
		"auth [success=1 default=ignore] pam_unix.so\nauth requisite pam_deny.so\n",
	} {
		if got, err := lockout([]byte(other)); err == nil {
			t.Errorf("a stack of another form was changed: %s", got)
		}
	}
}
