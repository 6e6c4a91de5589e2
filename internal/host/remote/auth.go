package remote

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"

	"picket/internal/host/machine"
)

// maxPasswords is how often a password is asked for, over all methods.
const maxPasswords = 3

// agentTimeout is how long an agent may take to say what it holds.
const agentTimeout = 5 * time.Second

// A Prompter asks a person on a terminal.
type Prompter interface {
	Password(prompt string) ([]byte, error)
	Confirm(prompt string) (bool, error)
}

var (
	errTooMany    = errors.New("no password was right")
	errNoTerminal = errors.New("there is no terminal to ask on")
)

// auth is one attempt to get in, and what is to be said if it fails.
type auth struct {
	target  Target
	opt     Options
	timeout time.Duration
	pause   func() (resume func())
	closer  io.Closer // the agent
	agent   []ssh.Signer

	keys      []string
	passwords int
	why       []string
}

func (l *auth) methods() []ssh.AuthMethod {
	// The functions are only called for a method that the host offers.
	m := []ssh.AuthMethod{ssh.PublicKeysCallback(l.signers)}
	if l.opt.Prompter == nil {
		refuse := func(method string) error {
			l.why = append(l.why, method+": "+errNoTerminal.Error())
			return fmt.Errorf("%s: %w", method, errNoTerminal)
		}
		return append(m,
			ssh.PasswordCallback(func() (string, error) { return "", refuse("password") }),
			ssh.KeyboardInteractive(func(_, _ string, q []string, _ []bool) ([]string, error) {
				if len(q) == 0 {
					return nil, nil
				}
				return nil, refuse("password")
			}))
	}
	return append(m,
		ssh.RetryableAuthMethod(ssh.PasswordCallback(func() (string, error) {
			p, err := l.ask(fmt.Sprintf("password of %s@%s: ", l.target.User, l.target.Host))
			return string(p), err
		}), maxPasswords),
		ssh.RetryableAuthMethod(ssh.KeyboardInteractive(l.questions), maxPasswords))
}

func (l *auth) ask(prompt string) ([]byte, error) {
	if l.passwords++; l.passwords > maxPasswords {
		return nil, errTooMany
	}
	defer l.pause()()
	return l.opt.Prompter.Password(prompt)
}

func (l *auth) questions(name, instruction string, questions []string, echos []bool) ([]string, error) {
	answers := make([]string, len(questions))
	for i, q := range questions {
		if len(q) > 200 {
			q = q[:200]
		}
		a, err := l.ask(fmt.Sprintf("%s@%s asks: %s ", l.target.User, l.target.Host, printable(strings.TrimSpace(q))))
		if err != nil {
			return nil, err
		}
		answers[i] = string(a)
	}
	return answers, nil
}

// printable keeps what a host says from steering the terminal.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r >= 0x7f && r < 0xa0 || r == '\uFFFD' {
			return '?'
		}
		return r
	}, s)
}

// signers returns the keys to try: those that were named, those of the agent,
// those of the home folder.
func (l *auth) signers() ([]ssh.Signer, error) {
	var out []ssh.Signer
	seen := map[string]bool{}
	add := func(s ssh.Signer, where string) {
		id := string(s.PublicKey().Marshal())
		if !seen[id] {
			seen[id] = true
			out = append(out, s)
			l.keys = append(l.keys, fmt.Sprintf("key %s (%s)", ssh.FingerprintSHA256(s.PublicKey()), where))
		}
	}
	// optional adds a key that nobody insisted on.
	optional := func(f string) {
		s, err := l.fileSigner(f)
		switch {
		case errors.Is(err, fs.ErrNotExist):
		case err != nil:
			l.why = append(l.why, err.Error())
		default:
			add(s, f)
		}
	}
	l.openAgent()
	for _, f := range l.opt.Identities {
		s, err := l.fileSigner(f)
		if err != nil {
			l.why = append(l.why, err.Error())
			return nil, err
		}
		add(s, f)
	}
	for _, f := range l.opt.configIdentities {
		optional(f)
	}
	if l.opt.identitiesOnly && len(out) > 0 {
		return out, nil
	}
	if !l.opt.identitiesOnly {
		for _, s := range l.agent {
			add(s, "agent")
		}
	}
	if l.opt.Home != "" {
		for _, n := range []string{"id_ed25519", "id_ecdsa", "id_rsa"} {
			optional(filepath.Join(l.opt.Home, ".ssh", n))
		}
	}
	return out, nil
}

// openAgent asks the agent for its keys. It may be gone, or hang.
func (l *auth) openAgent() {
	if l.closer != nil {
		return
	}
	c, err := machine.DialAgent(l.opt.AgentSocket, agentTimeout)
	if err != nil {
		l.why = append(l.why, fmt.Sprintf("agent: %v", err))
		return
	}
	if c == nil {
		return
	}
	l.closer = c
	c.SetDeadline(time.Now().Add(agentTimeout))
	l.agent, err = agent.NewClient(c).Signers()
	c.SetDeadline(time.Time{}) // to sign it may have to ask somebody
	if err != nil {
		l.why = append(l.why, fmt.Sprintf("agent: %v", err))
	}
}

// fileSigner reads a private key. The passphrase of an encrypted one is asked
// for only when the host has accepted its public half.
func (l *auth) fileSigner(file string) (ssh.Signer, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("key: %w", err)
	}
	s, err := ssh.ParsePrivateKey(data)
	if err == nil {
		return s, nil
	}
	var locked *ssh.PassphraseMissingError
	if !errors.As(err, &locked) {
		if _, _, _, _, pubErr := ssh.ParseAuthorizedKey(data); pubErr == nil {
			return nil, fmt.Errorf("key %s is a public key; name the private one beside it", file)
		}
		return nil, fmt.Errorf("key %s: %s", file, strings.TrimPrefix(err.Error(), "ssh: "))
	}
	pub := locked.PublicKey
	if pub == nil {
		if text, err := os.ReadFile(file + ".pub"); err == nil {
			pub, _, _, _, _ = ssh.ParseAuthorizedKey(text)
		}
	}
	if pub != nil {
		for _, held := range l.agent {
			if bytes.Equal(held.PublicKey().Marshal(), pub.Marshal()) {
				return held, nil
			}
		}
	}
	if l.opt.Prompter == nil {
		return nil, fmt.Errorf("key %s has a passphrase, and %w; load it into an agent: ssh-add %s", file, errNoTerminal, shellWord(file))
	}
	k := &lockedKey{login: l, file: file, data: data, pub: pub}
	if pub == nil { // an old format that hides it
		if _, err := k.open(); err != nil {
			return nil, err
		}
		return k.signer, nil
	}
	return k, nil
}

// A lockedKey asks for its passphrase when it has to sign.
type lockedKey struct {
	login  *auth
	file   string
	data   []byte
	pub    ssh.PublicKey
	signer ssh.Signer
}

func (k *lockedKey) PublicKey() ssh.PublicKey { return k.pub }

func (k *lockedKey) open() (ssh.Signer, error) {
	if k.signer != nil {
		return k.signer, nil
	}
	defer k.login.pause()() // to find out whether it was right takes its time, too
	for range maxPasswords {
		pass, err := k.login.opt.Prompter.Password(fmt.Sprintf("passphrase of %s: ", k.file))
		if err != nil {
			return nil, err
		}
		s, err := ssh.ParsePrivateKeyWithPassphrase(k.data, pass)
		clear(pass)
		if err == nil {
			if k.pub != nil && !bytes.Equal(s.PublicKey().Marshal(), k.pub.Marshal()) {
				return nil, fmt.Errorf("key %s does not belong to %s.pub", k.file, k.file)
			}
			k.signer = s
			return s, nil
		}
	}
	return nil, fmt.Errorf("key %s: the passphrase was wrong %d times", k.file, maxPasswords)
}

func (k *lockedKey) Sign(rand io.Reader, data []byte) (*ssh.Signature, error) {
	s, err := k.open()
	if err != nil {
		return nil, err
	}
	return s.Sign(rand, data)
}

// SignWithAlgorithm lets an RSA key sign with SHA-2.
func (k *lockedKey) SignWithAlgorithm(rand io.Reader, data []byte, algorithm string) (*ssh.Signature, error) {
	s, err := k.open()
	if err != nil {
		return nil, err
	}
	if a, ok := s.(ssh.AlgorithmSigner); ok {
		return a.SignWithAlgorithm(rand, data, algorithm)
	}
	return s.Sign(rand, data)
}

// tried is what was shown to the host.
func (l *auth) tried() []string {
	t := l.keys
	if n := min(l.passwords, maxPasswords); n == 1 {
		t = append(t, "a password")
	} else if n > 1 {
		t = append(t, fmt.Sprintf("a password (%d times)", n))
	}
	return t
}
