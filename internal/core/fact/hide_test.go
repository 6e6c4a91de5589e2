package fact

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"picket/lab/leftout"
)

// Each line holds a secret of the word "hunter" and another; nothing of it may
// be left, and what a rule reads must be.
func TestHideSecrets(t *testing.T) {
	for in, want := range map[string]string{
		`DB_PASSWORD=hunter2`:                                     `DB_PASSWORD=[secret]`,
		`Environment="DB_PASSWORD=hunter two" "A=b"`:              `Environment="DB_PASSWORD=[secret]" "A=b"`,
		`Environment='API_KEY=hunter two' HOME=/x`:                `Environment='API_KEY=[secret]' HOME=/x`,
		`Environment=TOKEN=hunter;two A=b`:                        `Environment=TOKEN=[secret] A=b`,
		`Environment="A=b" "TOKEN=hunter\"two" "SECRET=hunter"`:   `Environment="A=b" "TOKEN=[secret]" "SECRET=[secret]"`,
		`psk_password="hunter\"2"`:                                `psk_password=[secret]`,
		`  password = hunter and two`:                             `  password = [secret]`,
		`export API_TOKEN="hunter`:                                `export API_TOKEN=[secret]`,
		`* * * * * pi TOKEN=hunter2 /home/pi/x; y`:                `* * * * * pi TOKEN=[secret] /home/pi/x; y`,
		`* * * * * pi a --password hunter2 && /home/pi/x`:         `* * * * * pi a --password [secret] && /home/pi/x`,
		`* * * * * pi (SECRET=ab"hunter c"d /bin/x)`:              `* * * * * pi (SECRET=[secret] /bin/x)`,
		`ExecStart=/bin/x --api-key=hunter2 --port 80`:            `ExecStart=/bin/x --api-key=[secret] --port 80`,
		`deb http://u:hunter@h/ a b`:                              `deb http://u:[secret]@h/ a b`,
		`PASSWORD_FILE=/etc/x TOKEN=$T SECRET=%d/x`:               `PASSWORD_FILE=/etc/x TOKEN=$T SECRET=%d/x`,
		`TOKEN=$T SECRET=hunter`:                                  `TOKEN=$T SECRET=[secret]`,
		`Environment=MQTT_PASS=hunter2 DB_PWD=hunter pass=hunter`: `Environment=MQTT_PASS=[secret] DB_PWD=[secret] pass=[secret]`,
		`bypass=1 OLDPWD=/root`:                                   `bypass=1 OLDPWD=/root`,
		`a --pass hunter2 -x`:                                     `a --pass [secret] -x`,
		`curl -s -u amy:hunter2 https://h/`:                       `curl -s -u amy:[secret] https://h/`,
		`curl --user='amy:hunter2' https://h/`:                    `curl --user='amy:[secret]' https://h/`,
		`curl -H "Authorization: Bearer hunter2" h`:               `curl -H "Authorization: Bearer [secret]" h`,
		`curl -H 'X-Api-Key: hunter2' h`:                          `curl -H 'X-Api-Key: [secret]' h`,
		`sshpass -p hunter2 ssh h; sshpass -phunter2 ssh h`:       `sshpass -p [secret] ssh h; sshpass -p[secret] ssh h`,
		`mosquitto_sub -u amy -P hunter2 -t x -p 1883`:            `mosquitto_sub -u amy -P [secret] -t x -p 1883`,
		`mysqldump -u root -phunter2 db`:                          `mysqldump -u root -p[secret] db`,
		`deb https://u:hunter@2:hunter@h/ a b`:                    `deb https://u:[secret]@h/ a b`,
		`git clone https://ghp_hunter2hunter2@github.com/a`:       `git clone https://[secret]@github.com/a`,
		`URL=mqtt://u:hunter2@h`:                                  `URL=mqtt://u:[secret]@h`,
		`PASSWORD=`:                                               `PASSWORD=`,
		`PASSWORD=""`:                                             `PASSWORD=""`,
	} {
		got := hideSecrets(in)
		if got != want || strings.Contains(got, "hunter") {
			t.Errorf("%s\n  gives %s\n  want  %s", in, got, want)
		}
		if again := hideSecrets(got); again != got {
			t.Errorf("%s: a second time gives %s", got, again)
		}
	}
}

// Looking only at statements that may hold a secret hides what looking at the
// whole text does.
func TestHideByStatement(t *testing.T) {
	leftout.OfRace(t)
	words := []string{
		"password", "PSK", "x-api-key", "cookie:", "--token", "pa\u017f\u017f", "\u212aey", "curl -u a:", "sshpass -p ", "mysql -p",
		"Environment=", "export ", "=", "=", "\n", "\n", "\n\n", " ", "\t", "\r", `"`, "'", `\`, "\\\n", "b", "#", "https://u:", "@h", "\xff",
	}
	r := rand.New(rand.NewPCG(1, 2))
	hidden := 0
	for range 30_000 {
		var b strings.Builder
		for range 2 + r.IntN(24) {
			b.WriteString(words[r.IntN(len(words))])
		}
		text := b.String()
		got, want := hideSecrets(text), hideInStatement(hideURLs(text))
		if got != want {
			t.Fatalf("%q\n  by statement %q\n  as a whole   %q", text, got, want)
		}
		if got != text {
			hidden++
		}
		if all := strings.Join(slices.Collect(statements(text)), ""); all != text {
			t.Fatalf("%q is cut into what makes %q", text, all)
		}
	}
	if hidden < 10_000 {
		t.Errorf("something was hidden in %d texts only", hidden)
	}
}

// What a hostile host sends takes time in proportion to its size.
func TestHideHostileText(t *testing.T) {
	leftout.OfRace(t)
	for _, unit := range []string{"\n", " \n", "=\n", "a=\n", "key\n", "\"key", "key=", "a\n\n="} {
		begin := time.Now()
		hideSecrets(strings.Repeat(unit, (256<<10)/len(unit)))
		if took := time.Since(begin); took > 15*time.Second {
			t.Errorf("%q again and again: %v", unit, took)
		}
	}
}
