package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"

	"picket/internal/host/remote"
	"picket/internal/host/shell"
	"picket/internal/ui"
)

// readKeys reads public keys, and finds the files of their private halves.
func readKeys(files []string) (public, private []string, err error) {
	if len(files) == 0 {
		return nil, nil, withHint(usage(errors.New("want --key FILE: the SSH key that lets the account in")), "`ls ~/.ssh` shows the keys that you have; ssh-keygen -t ed25519 makes one")
	}
	for _, f := range files {
		data, err := os.ReadFile(f)
		if err != nil {
			return nil, nil, usage(fmt.Errorf("--key: %w", err))
		}
		half := strings.TrimSuffix(f, ".pub")
		if bytes.Contains(data, []byte("PRIVATE KEY-----")) {
			half = f
			if data, err = os.ReadFile(f + ".pub"); err != nil {
				return nil, nil, usage(fmt.Errorf("--key %s: its public half cannot be read: %w", f, err))
			}
			private = append(private, half)
		} else if _, err := os.Stat(half); err == nil && half != f {
			private = append(private, half)
		}
		found := 0
		for rest := data; len(bytes.TrimSpace(rest)) > 0; {
			key, comment, options, more, err := ssh.ParseAuthorizedKey(rest)
			if err != nil {
				break
			}
			if len(options) > 0 {
				return nil, nil, usage(fmt.Errorf("--key %s: want a key alone, without options before it", f))
			}
			line := strings.TrimSpace(string(ssh.MarshalAuthorizedKey(key)))
			if comment != "" {
				line += " " + comment
			}
			public, rest = append(public, line), more
			found++
		}
		if found == 0 {
			return nil, nil, usage(fmt.Errorf("--key %s: it holds no SSH key", f))
		}
	}
	return public, private, nil
}

// comesIn logs in as an account, with its key and nothing else, and becomes root if it is to.
func (p *program) comesIn(ctx context.Context, target, name string, opt sshOptions, private []string, root bool, secret []byte, say func(string)) error {
	say("logging in as " + name)
	t, err := p.remoteTarget(target)
	if err != nil {
		return err
	}
	opt.user = name
	if len(private) > 0 {
		opt.identities, opt.given = private, true
	}
	every := opt.askSudo
	opt.askSudo = false
	quiet := *p
	quiet.passwords = new(typedPasswords)
	quiet.io.In = strings.NewReader("") // a password would prove nothing
	c, _, password, err := quiet.dial(ctx, target, opt, nil)
	if err != nil {
		return fmt.Errorf("%s does not come in: %w", name, err)
	}
	if !root {
		defer c.Close()
		return shellWorks(ctx, c, name, shellWithin)
	}
	switch {
	case secret != nil:
		password = func(string) ([]byte, error) { return bytes.Clone(secret), nil }
	case password == nil && every:
		password = func(string) ([]byte, error) {
			all, err := p.passwords.forAll(ui.Prompt{IO: p.io, Context: ctx})
			return bytes.Clone(all), err
		}
	case password == nil:
		if ask := sudoPassword(t.Host, opt.sudoPasswordFile, ui.Prompt{IO: p.io, Context: ctx}); ask != nil {
			password = func(user string) ([]byte, error) {
				return p.passwords.once(user+"@"+t.Host, func() ([]byte, error) { return ask(user) })
			}
		}
	}
	limited, password, end := patient(ctx, shellWithin, password)
	defer end()
	sh := shell.SSH(c, name, password)
	defer sh.Close()
	if out, exit, err := sh.Run(limited, "id -u", nil, nil); err != nil && limited.Err() != nil && ctx.Err() == nil {
		return fmt.Errorf("%s comes in and does not become root within %v", name, shellWithin)
	} else if err != nil || exit != 0 || strings.TrimSpace(string(out)) != "0" {
		return fmt.Errorf("%s comes in and does not become root: %w", name, errors.Join(err, errors.New("sudo refuses")))
	}
	return nil
}

// shellWithin is how long an account that comes in may take to show that it can do something.
const shellWithin = time.Minute

// shellWorks has the shell of a login say who it is.
func shellWorks(ctx context.Context, c *remote.Client, name string, within time.Duration) error {
	limited, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	const is = "picket-is " // what comes before and behind is said by the login's own files
	var said beginning
	_, err := c.Exec(limited, "echo; echo '"+is+"'$(id -un)", nil, &said, nil)
	var no *remote.SessionError
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case bytes.Contains(said.is, []byte("\n"+is+name+"\n")): // whatever it does afterwards
		return nil
	case errors.As(err, &no):
		return fmt.Errorf("%s comes in and can do nothing: %w", name, err)
	case limited.Err() != nil:
		return fmt.Errorf("%s comes in, and its shell hangs: within %v it says %q", name, within, said.is[:min(len(said.is), 1000)])
	}
	return fmt.Errorf("%s comes in, and its shell does not work: it says %q", name, said.is[:min(len(said.is), 1000)])
}

// A beginning keeps the first 64 kB of what is written.
type beginning struct{ is []byte }

// Write implements io.Writer.
func (b *beginning) Write(p []byte) (int, error) {
	b.is = append(b.is, p[:min(len(p), 1<<16-len(b.is))]...)
	return len(p), nil
}
