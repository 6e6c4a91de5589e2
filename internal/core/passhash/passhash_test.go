package passhash_test

import (
	"errors"
	"os"
	"os/exec"
	"strings"
	"testing"

	"picket/internal/core/passhash"
	"picket/lab/leftout"
)

// Hashes that the real crypt(3) made: the right guess fits, others do not.
func TestVerifyAgainstCrypt(t *testing.T) {
	data, err := os.ReadFile("testdata/crypt.tsv")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for l := range strings.Lines(string(data)) {
		guess, h, ok := strings.Cut(strings.TrimSuffix(l, "\n"), "\t")
		if !ok {
			continue
		}
		n++
		if got, err := passhash.Verify(h, guess); err != nil || !got {
			t.Errorf("Verify(%q, %q) = %v, %v; want true", h, guess, got, err)
		}
		if got, err := passhash.Verify(h, guess+"x"); err != nil || got {
			t.Errorf("Verify(%q, %q) = %v, %v; want false", h, guess+"x", got, err)
		}
	}
	if n != 30 {
		t.Errorf("%d hashes were tried, want 30", n)
	}
}

func TestVerifyRefuses(t *testing.T) {
	long := "$6$salt$" + strings.Repeat("a", 86)
	for _, tc := range []struct {
		name, hash string
		want       error
	}{
		{"sha512crypt with a billion rounds", "$6$rounds=999999999$salt$" + strings.Repeat("a", 86), passhash.ErrCost},
		{"rounds beyond any number", "$6$rounds=99999999999999999999999$salt$x", passhash.ErrFormat},
		{"yescrypt with a gigabyte", "$y$jFT$abcdefghijklmnop$" + strings.Repeat("a", 43), passhash.ErrCost},
		{"yescrypt with N of 2^64", "$y$jzz$abcdefghijklmnop$" + strings.Repeat("a", 43), passhash.ErrCost},
		{"yescrypt with other parameters", "$y$j9T5$abcdefghijklmnop$" + strings.Repeat("a", 43), passhash.ErrKind},
		{"yescrypt with a bad salt", "$y$j9T$a$" + strings.Repeat("a", 43), passhash.ErrKind},
		{"yescrypt cut short", "$y$j9T$abc$x", passhash.ErrFormat},
		{"bcrypt with cost 31", "$2b$31$abcdefghijklmnopqrstuufNcwg.LhweBejHk0Q4B2Xw5SAczk6Qm", passhash.ErrCost},
		{"bcrypt cut short", "$2b$05$abc", passhash.ErrFormat},
		{"md5crypt cut short", "$1$abc$x", passhash.ErrFormat},
		{"GOST yescrypt", "$gy$j9T$abcdefghijklmnop$DcyecoGLSrrwwmhJUaKvbdAFQzIdUptno1RSIK6hmnC", passhash.ErrKind},
		{"DES", "abeI39UDXGcO6", passhash.ErrKind},
		{"not a hash", "raspberry", passhash.ErrKind},
		{"a megabyte", strings.Repeat(long, 1000), passhash.ErrCost},
	} {
		if got, err := passhash.Verify(tc.hash, "raspberry"); got || !errors.Is(err, tc.want) {
			t.Errorf("%s: %v, %v; want %v", tc.name, got, err, tc.want)
		}
	}
}

func TestScheme(t *testing.T) {
	for h, want := range map[string]string{
		"$y$j9T$a$b": "yescrypt", "$gy$j9T$a$b": "gost-yescrypt", "$6$a$b": "sha512crypt", "$5$a$b": "sha256crypt",
		"$2b$05$a": "bcrypt", "$1$a$b": "md5crypt", "abeI39UDXGcO6": "descrypt", "": "", "x": "", "raspberry": "", "$": "",
	} {
		if got := passhash.Scheme(h); got != want {
			t.Errorf("Scheme(%q) = %q, want %q", h, got, want)
		}
	}
}

func FuzzVerify(f *testing.F) {
	f.Add("$y$j75$saltsaltsalt$d2v3hkUSx9obEcmvIPnnDGho9IhUclwqdIkqB3OiN89", "raspberry")
	f.Add("$6$rounds=1000$$x", "")
	f.Add("$1$abcdefgh$Ypp3mcpy11lgzIqzzpMOs/", "raspberry")
	f.Add("$2b$04$abcdefghijklmnopqrstuu0oImNDIy4flhldV9YqunRgBAePKmw7m", "")
	f.Fuzz(func(t *testing.T, h, guess string) {
		if ok, err := passhash.Verify(h, guess); ok && err != nil {
			t.Errorf("Verify(%q, %q) is true with an error: %v", h, guess, err)
		}
	})
}

// The two kinds that Debian makes: how long one guess takes.
func BenchmarkVerify(b *testing.B) {
	for name, h := range map[string]string{
		"yescrypt":    "$y$j9T$abcdefghijklmnop$ZDloJgfb9iMP/OhlO6VibvzQwWOMaT5q5ZGAWJe8us.",
		"sha512crypt": "$6$abcdefgh$4o4.L3tiGL1RD7BsjaaWYcCVs87zOlvZK7S6SXQETuFMA2ELLDwmf3YDHidZ3I4E/fXmmOOWhAJHUSMf.eA6c1",
	} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if _, err := passhash.Verify(h, "guess"); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// What Make makes is what the real crypt(3) makes of the same password and salt.
func TestMakeAgainstCrypt(t *testing.T) {
	perl, err := exec.LookPath("perl")
	if err != nil {
		leftout.Missing(t, "needs perl, for the real crypt(3): "+err.Error())
	}
	salt := []byte("0123456789abcdef")
	for i, word := range []string{"harbour-Mosaic-17", ` two  "quoted" $x ß 漢 ` + strings.Repeat("x", 200)} {
		for _, yescrypt := range []bool{true, false} {
			h, err := passhash.Make(word, salt, yescrypt)
			if err != nil {
				t.Fatal(err)
			}
			out, err := exec.Command(perl, "-e", "print crypt($ARGV[0], $ARGV[1])", word, h).CombinedOutput()
			if err != nil || string(out) != h {
				t.Errorf("%q: %s; crypt makes %s, %v", word, h, out, err)
			}
			if i > 0 {
				continue // each hash takes long, and those of TestVerifyAgainstCrypt are of all kinds of words
			}
			if ok, err := passhash.Verify(h, word); err != nil || !ok {
				t.Errorf("%q: it does not fit its own hash: %v", word, err)
			}
			if other, _ := passhash.Make(word, []byte("0123456789abcdeg"), yescrypt); other == h {
				t.Error("the salt makes no difference")
			}
		}
	}
	for _, bad := range []string{"", "a\nb", "a\x00b", strings.Repeat("x", 513)} {
		if h, err := passhash.Make(bad, salt, true); err == nil {
			t.Errorf("%q becomes %s", bad, h)
		}
	}
	if _, err := passhash.Make("good", make([]byte, 16), true); err == nil {
		t.Error("a salt of zeros is taken")
	}
}
