package account

import (
	"fmt"
	"maps"
	"testing"

	"picket/internal/core/change"
)

func TestHandOver(t *testing.T) {
	with := map[string]string{
		"/etc/crontab":                             "SHELL=/bin/sh\n# m h dom mon dow pi command\n17 *\t* * *\tpi\tcd / && run pi\n@daily pi  run\n*/5 * * * * root su pi -c x\n1 2 3 4 5 pip x\n",
		"/etc/cron.d/job":                          "0 1 * * * pi /home/pi/run\r\n",
		"/etc/systemd/system/bot.service":          "[Service]\nUser=pi\nGroup=pi\nExecStart=/home/pi/bot User=pi\n",
		"/etc/systemd/system/web.service.d/a.conf": "[Service]\nUser = pi\n# User=pi\n",
		"/etc/systemd/system/other.service":        "[Service]\nUser=piper\n",
		"/etc/rc.local":                            "su pi -c x\n",
		Crontabs + "pi":                            "@reboot /home/pi/x\n",
		Crontabs + "both":                          "@reboot old\n",
	}
	all := []string{"/etc/crontab", "/etc/cron.d/job", "/etc/systemd/system/bot.service", "/etc/systemd/system/web.service.d/a.conf", "/etc/systemd/system/other.service", "/etc/rc.local", Crontabs + "pi"}
	maps.Copy(with, files)
	want := `/etc/crontab 17 *	* * *	svc	cd / && run pi
/etc/crontab @daily svc  run
` + "/etc/cron.d/job 0 1 * * * svc /home/pi/run\r\n" + `/etc/systemd/system/bot.service User=svc
/etc/systemd/system/web.service.d/a.conf User = svc
new file /var/spool/cron/crontabs/svc 0644 990:0 "@reboot /home/pi/x\n"
gone /var/spool/cron/crontabs/pi
`
	d := on(with)
	var units []string
	err := d.For("test", func(d *change.Draft) (err error) { units, err = HandOver(d, "pi", "svc", all); return err })
	if got := differ(d); err != nil || got != want || fmt.Sprint(units) != "[bot.service web.service]" {
		t.Errorf("%v, %v\n%swant\n%s", units, err, got, want)
	}
	// Who has a table keeps it.
	with[Crontabs+"svc"] = "@reboot mine"
	d = on(with)
	if err := d.For("test", func(d *change.Draft) error { _, err := HandOver(d, "pi", "svc", []string{Crontabs + "pi"}); return err }); err != nil {
		t.Error(err)
	}
	if is, _ := d.At(Crontabs + "svc"); string(is.Content) != "@reboot mine\n@reboot /home/pi/x\n" {
		t.Errorf("%q", is.Content)
	}
}
