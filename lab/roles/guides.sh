# A host whose owner followed two guides word for word: the cluster guide's security chapter, then the host
# part of a production guide. Configured, and in several places not protected: see requirements.md, Traps.
set -eu

# --- the cluster guide -----------------------------------------------------------------------------------
echo master >/etc/hostname
cat >/etc/hosts <<END
127.0.0.1	localhost
127.0.1.1	master
192.168.0.100	master
192.168.0.101	worker1
192.168.0.102	worker2
END

# "Add new user", with the groups it lists; its advice on passwords is that they need not be strong.
for group in gpio i2c spi; do groupadd --system "$group"; done
useradd --create-home --shell /bin/bash \
	--groups adm,dialout,cdrom,sudo,audio,video,plugdev,games,users,input,netdev,gpio,i2c,spi alice
printf '%s\n' 'alice:berries' | chpasswd

# One key without passphrase on each node, and every node's key allowed on every node.
install -d -m 700 -o alice -g alice /home/alice/.ssh
for node in worker1 worker2 master; do
	rm -f /tmp/key /tmp/key.pub
	ssh-keygen -q -t ed25519 -N '' -C "alice@$node" -f /tmp/key
	cat /tmp/key.pub >>/home/alice/.ssh/authorized_keys
done
mv /tmp/key /home/alice/.ssh/id_ed25519
mv /tmp/key.pub /home/alice/.ssh/id_ed25519.pub
chmod 600 /home/alice/.ssh/id_ed25519 /home/alice/.ssh/authorized_keys
chown alice:alice /home/alice/.ssh/*

# A second account for deployments: no password, its key only. UsePAM no shuts it out.
useradd --create-home --shell /bin/bash deploy

sed -i -e 's/^#\?PasswordAuthentication .*/PasswordAuthentication no/' \
	-e 's/^#\?KbdInteractiveAuthentication .*/ChallengeResponseAuthentication no/' \
	-e 's/^#\?UsePAM .*/UsePAM no/' /etc/ssh/sshd_config
# What the image's first boot had left.
printf 'PasswordAuthentication yes\n' >/etc/ssh/sshd_config.d/50-cloud-init.conf
chmod 600 /etc/ssh/sshd_config.d/50-cloud-init.conf

# "Take a look at the rules for SSH": the section [ssh] is not in Debian 12's file, so it was typed in.
cp /etc/fail2ban/jail.conf /etc/fail2ban/jail.local
cat >>/etc/fail2ban/jail.local <<END

[ssh]
enabled = true
port = ssh
filter = sshd
logpath = /var/log/auth.log
maxretry = 4
bantime = -1
END

ufw --force enable
ufw limit ssh/tcp
ufw limit ssh/udp || true # refused by Debian 12's ufw
ufw deny from 192.168.2.1 port 30

# --- the production guide --------------------------------------------------------------------------------
sed -i -e 's/^#\?PermitRootLogin .*/PermitRootLogin no/' /etc/ssh/sshd_config
ufw default deny incoming
ufw allow 22/tcp
ufw allow 443/tcp
passwd --lock root >/dev/null

systemctl enable ufw fail2ban chrony unattended-upgrades ssh
