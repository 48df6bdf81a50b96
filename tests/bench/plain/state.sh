# How a host is, as far as both playbooks shall leave it the same: one line for each thing.
# Of files with secrets and certificates, which every lab has its own of, owner and mode only.
for file in /etc/docker/daemon.json /etc/default/chrony /etc/chrony/chrony.conf /etc/haproxy/haproxy.cfg \
    /etc/security/limits.d/60-drcloud.conf /etc/apt/apt.conf.d/60drcloud-updates /etc/keepalived/keepalived.conf \
    /etc/drcloud/log-client/rsyslog.conf /etc/drcloud/log-server/rsyslog.conf /etc/drcloud/log-server/keeper.json \
    /etc/drcloud/registry/config.yml /etc/drcloud/network/*.sh /etc/systemd/journald.conf.d/* \
    /etc/systemd/system/drcloud-l* /etc/systemd/system/*.service.d/drcloud.conf /usr/local/lib/drcloud/*; do
    [ ! -f "$file" ] || echo "file $file $(stat -c '%U:%G %a' "$file") $(sha256sum < "$file" | cut -c 1-12)"
done
for file in /etc/docker/certs.d/*/ca.crt /etc/drcloud/docker/config.json /etc/drcloud/*/tls.pem \
    /etc/drcloud/*/ca.pem /etc/drcloud/registry/htpasswd /etc/audit/rules.d/60-drcloud-docker.rules; do
    [ ! -f "$file" ] || echo "file $file $(stat -c '%U:%G %a' "$file")"
done
for unit in chrony docker docker-registry haproxy keepalived rsyslog drcloud-firewall drcloud-log-server \
    drcloud-bridge-br0 drcloud-lb-state.socket drcloud-log-health.timer drcloud-log-keeper.timer \
    drcloud-log-reserve; do
    echo "unit $unit $(systemctl is-active "$unit" || true) $(systemctl is-enabled "$unit" 2> /dev/null || true)"
done
for package in auditd chrony docker.io docker-registry haproxy keepalived nftables python3-docker rsyslog-relp \
    unattended-upgrades; do
    echo "package $package $(dpkg-query -W -f '${db:Status-Status}' "$package" 2> /dev/null || true)"
done
# 127.0.0.11 is the resolver of the lab's own engine, at a port that changes, and so does containerd's on 127.0.0.1.
ss -Hltn | awk '$4 !~ /^127\.0\.0\.11:/ && $4 !~ /^127\.0\.0\.1:[3-6][0-9][0-9][0-9][0-9]$/ {print "listens at " $4}' | sort -u
findmnt --noheadings --list --output TARGET,FSTYPE --types xfs,ext4 | grep -E '^(/var/lib/docker|/srv)' || true
ip -brief -4 address show scope global | awk '$1 ~ /^(eth0|br0)/ {sub(/@.*/, "", $1); print "address " $1 " " $3}'
if nft list table inet drcloud > /dev/null 2>&1; then echo "firewall"; fi
for name in net.core.somaxconn net.ipv4.tcp_keepalive_time net.ipv4.conf.all.send_redirects; do
    echo "sysctl $name $(sysctl -n "$name")"
done
if command -v docker > /dev/null; then docker network ls --format 'docker network {{.Name}} {{.Driver}}'; fi
