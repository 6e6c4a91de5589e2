# A leader as the Pioreactor image makes it, without the Pioreactor software: accounts, files, modes and
# services that an audit sees.
set -eu

echo leader >/etc/hostname
sed -i 's/^127.0.1.1.*/127.0.1.1	leader/' /etc/hosts

# --- the user, its password, its sudo --------------------------------------------------------------------
for group in gpio i2c spi; do groupadd --system "$group"; done
useradd --create-home --shell /bin/bash --groups sudo,www-data,gpio,i2c,spi,dialout,video,plugdev,netdev pioreactor
printf '%s\n' 'pioreactor:raspberry' | chpasswd
chmod 755 /home/pioreactor
echo 'pioreactor ALL=(ALL) NOPASSWD: ALL' >/etc/sudoers.d/010_pioreactor-nopasswd
chmod 440 /etc/sudoers.d/010_pioreactor-nopasswd

# The leader's key to its workers, and how its ssh speaks to them.
ssh=/home/pioreactor/.ssh
install -d -m 700 -o pioreactor -g pioreactor "$ssh"
ssh-keygen -q -t rsa -N '' -C pioreactor@leader -f "$ssh/id_rsa"
cp "$ssh/id_rsa.pub" "$ssh/authorized_keys"
cat >"$ssh/config" <<END
Host *
  StrictHostKeyChecking accept-new
  CheckHostIP no
  ControlMaster auto
  ControlPath /tmp/%r@%h:%p
  ControlPersist 1h
  KexAlgorithms ecdh-sha2-nistp256
END
chmod 600 "$ssh/authorized_keys" "$ssh/config"
chown pioreactor:pioreactor "$ssh"/*

# --- its settings ----------------------------------------------------------------------------------------
dot=/home/pioreactor/.pioreactor
install -d -m 2775 -o pioreactor -g www-data "$dot" "$dot/plugins" "$dot/storage" "$dot/experiment_profiles"
cat >"$dot/config.ini" <<END
[cluster.topology]
leader_hostname=leader
leader_address=leader.local

[cluster.addresses]
worker1=192.168.77.21

[ui]
domain_alias=pioreactor.local
port=80
proto=http

[mqtt]
username=pioreactor
password=raspberry
broker_address=leader.local
broker_ws_port=9001
broker_port=1883
ws_protocol=ws
use_tls=0

[local_access_point]
ssid=pioreactor
passphrase=raspberry
proto=rsn

[storage]
database=/home/pioreactor/.pioreactor/storage/pioreactor.sqlite
temporary_cache=/run/pioreactor/cache/local_intermittent_pioreactor_metadata.sqlite
persistent_cache=/home/pioreactor/.pioreactor/storage/local_persistent_pioreactor_metadata.sqlite
number_of_backup_replicates_to_workers=2

[logging]
log_file=/var/log/pioreactor/pioreactor.log
ui_log_file=/var/log/pioreactor/ui.log
END
printf '[cluster.topology]\n' >"$dot/unit_config.ini"
sqlite3 "$dot/storage/pioreactor.sqlite" "
	CREATE TABLE config_files_histories (timestamp TEXT NOT NULL, filename TEXT NOT NULL, data TEXT NOT NULL);
	INSERT INTO config_files_histories VALUES ('2026-01-05T09:12:44.000Z', 'config.ini', '[mqtt]
username=pioreactor
password=raspberry
');"
chown -R pioreactor:www-data "$dot"
chmod 664 "$dot/config.ini" "$dot/unit_config.ini" "$dot/storage/pioreactor.sqlite"
install -d -m 775 -o pioreactor -g www-data /var/log/pioreactor
printf 'DOT_PIOREACTOR=%s\nGLOBAL_CONFIG=%s/config.ini\nLOCAL_CONFIG=%s/unit_config.ini\n' "$dot" "$dot" "$dot" >/etc/pioreactor.env

# --- the broker ------------------------------------------------------------------------------------------
cat >/etc/mosquitto/mosquitto.conf <<END
log_type error
log_type warning
persistence false

listener 1883
protocol mqtt

listener 9001
protocol websockets

allow_anonymous false
max_inflight_messages 1000
password_file /etc/mosquitto/pw.txt
END
mosquitto_passwd -b -c /etc/mosquitto/pw.txt pioreactor raspberry
chmod 644 /etc/mosquitto/pw.txt

# --- the web interface -----------------------------------------------------------------------------------
install -d -o pioreactor -g www-data /var/www/pioreactorui/static
printf '<!doctype html><title>Pioreactor</title><p>Pioreactor UI\n' >/var/www/pioreactorui/static/index.html
cat >/etc/lighttpd/conf-available/50-pioreactorui.conf <<END
server.modules += ( "mod_accesslog" )
accesslog.filename = "/var/log/lighttpd/access.log"
accesslog.format = "%{%Y-%m-%d %H:%M:%S}t %r %s"
END
sed -i 's|^server.document-root .*|server.document-root = "/var/www/pioreactorui/static"|' /etc/lighttpd/lighttpd.conf
lighty-enable-mod pioreactorui
lighttpd -tt -f /etc/lighttpd/lighttpd.conf

# Its task queue: a program of the user's that runs what the web interface orders.
install -d -o pioreactor -g pioreactor /opt/pioreactor/venv/bin
printf '#!/bin/sh\nexec sleep infinity\n' >/opt/pioreactor/venv/bin/huey_consumer
chmod 755 /opt/pioreactor/venv/bin/huey_consumer
chown -R pioreactor:pioreactor /opt/pioreactor
cat >/etc/systemd/system/huey.service <<END
[Unit]
Description=Huey, the task queue of the Pioreactor UI
After=network.target

[Service]
User=pioreactor
Group=www-data
EnvironmentFile=/etc/pioreactor.env
RuntimeDirectory=pioreactor
RuntimeDirectoryMode=2775
ExecStart=/opt/pioreactor/venv/bin/huey_consumer
Restart=on-failure

[Install]
WantedBy=multi-user.target
END
cat >/etc/systemd/system/ngrok.service <<END
[Unit]
Description=Tunnel to the Pioreactor UI
After=network-online.target

[Service]
ExecStart=/usr/local/bin/ngrok start ui ws --config /home/pioreactor/.ngrok2/ngrok.yml
Restart=always

[Install]
WantedBy=multi-user.target
END

# --- the rest of the image -------------------------------------------------------------------------------
printf 'allow all\nlocal stratum 10\n' >>/etc/chrony/chrony.conf
printf 'net.ipv6.conf.all.disable_ipv6 = 1\nnet.ipv6.conf.default.disable_ipv6 = 1\n' >/etc/sysctl.d/90-disable-ipv6.conf
mkdir -p /etc/systemd/journald.conf.d
printf '[Journal]\nSystemMaxUse=20M\n' >/etc/systemd/journald.conf.d/50-size.conf
printf 'tmpfs /tmp tmpfs defaults,noatime,nosuid,nodev 0 0\n' >>/etc/fstab
install -d -m 700 /etc/NetworkManager /etc/NetworkManager/system-connections
chmod 755 /etc/NetworkManager
cat >/etc/NetworkManager/system-connections/PioreactorAP.nmconnection <<END
[connection]
id=PioreactorAP
type=wifi
autoconnect=false

[wifi]
mode=ap
ssid=pioreactor

[wifi-security]
key-mgmt=wpa-psk
proto=rsn
psk=raspberry

[ipv4]
method=shared
END
chmod 600 /etc/NetworkManager/system-connections/PioreactorAP.nmconnection
systemctl mask apt-daily.service apt-daily-upgrade.service
systemctl disable apt-daily.timer apt-daily-upgrade.timer
systemctl enable mosquitto lighttpd huey chrony ssh
