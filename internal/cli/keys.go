package cli

import "github.com/spf13/cobra"

func (p *program) keysCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "keys",
		Short: "SSH keys: made and handed out so that hosts reach what they must, and no more",
		Args:  noArguments,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(p.keysSetupCommand(), p.keysPruneCommand(), p.keysRenewCommand(), p.keysAuditCommand(), p.keysRepairCommand())
	return cmd
}
