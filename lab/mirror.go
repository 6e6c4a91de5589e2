package lab

import (
	"context"
	"crypto/sha256"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// Mirror is where a host finds packages that Serve has laid there.
const Mirror = "/srv/mirror"

// Serve has a host's apt know some packages of Debian, and all that they need: their files lie in [Mirror], as nothing in
// the lab serves packages over the network. What apt knew before it does not know any more. They are got anew from the
// machine's own mirrors if they are not in the lab's cache.
func (h *Host) Serve(packages ...string) {
	h.t.Helper()
	files, err := h.packageFiles(h.t.Context(), packages)
	h.must(err)
	h.Sh("rm -rf /var/lib/apt/lists/* /etc/apt/sources.list.d/*; mkdir -p " + Mirror)
	var index strings.Builder
	for _, f := range files {
		content, err := os.ReadFile(f)
		h.must(err)
		control, err := exec.Command("dpkg-deb", "--field", f).Output()
		h.must(err)
		name := filepath.Base(f)
		fmt.Fprintf(&index, "%sFilename: ./%s\nSize: %d\nSHA256: %x\n\n", control, name, len(content), sha256.Sum256(content))
		h.Write(filepath.Join(Mirror, name), 0o644, string(content))
	}
	h.Write(Mirror+"/Packages", 0o644, index.String())
	h.Write("/etc/apt/sources.list", 0o644, "deb [trusted=yes] file:"+Mirror+" ./\n")
	h.Run("apt-get", "-q", "update")
}

// packageFiles gets what installing some packages on a host takes, into a folder of their own in the cache.
func (h *Host) packageFiles(ctx context.Context, packages []string) ([]string, error) {
	status := h.Read("/var/lib/dpkg/status")
	dir := filepath.Join(h.site.cache, "mirror", h.Role.recipe(), strings.Join(packages, "+"))
	err := buildOnce(ctx, dir, func(draft string) error {
		sources, err := aptSources("/etc/apt", h.Role.release())
		if err != nil {
			return err
		}
		for name, content := range map[string]string{"status": status, "machine.sources": sources} {
			if err := os.WriteFile(filepath.Join(draft, name), []byte(content), 0o644); err != nil {
				return err
			}
		}
		for _, sub := range []string{"archives/partial", "lists/partial"} {
			if err := os.MkdirAll(filepath.Join(draft, sub), 0o755); err != nil {
				return err
			}
		}
		commands := [][]string{{"update", "--error-on=any"}}
		for _, p := range packages { // one may stand in the way of another
			commands = append(commands, []string{"install", "--yes", "--no-install-recommends", "--reinstall", "--download-only", p})
		}
		for _, args := range commands {
			cmd := exec.CommandContext(ctx, "apt-get", append([]string{
				"--quiet", "-o", "Dir::State=" + draft, "-o", "Dir::State::status=" + filepath.Join(draft, "status"), "-o", "Dir::Cache=" + draft,
				"-o", "Dir::Etc::sourcelist=" + filepath.Join(draft, "machine.sources"), "-o", "Dir::Etc::sourceparts=-", "-o", "APT::Sandbox::User=root",
			}, args...)...)
			if out, err := cmd.CombinedOutput(); err != nil {
				return fmt.Errorf("%w\n%s", err, tail(string(out), 20))
			}
		}
		return os.RemoveAll(filepath.Join(draft, "lists"))
	})
	if err != nil {
		return nil, fmt.Errorf("get %s: %w", strings.Join(packages, ", "), err)
	}
	files, err := filepath.Glob(filepath.Join(dir, "archives", "*.deb"))
	if err == nil && len(files) == 0 {
		err = fmt.Errorf("apt got no file of %s", strings.Join(packages, ", "))
	}
	return files, err
}
