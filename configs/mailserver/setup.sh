#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# At each boot, before Postfix and Dovecot: what they need on the data disk. What
# is there already is kept: accounts, certificate, mail, and the queue, whoever
# owned it in an earlier root.
set -eu
. /etc/mailserver.env
accounts=/srv/accounts
tls=/srv/tls
queue=/srv/postfix

# This root has done all of it before: no program need start.
read -r root < /etc/mailserver.id
if [ -s $tls/cert.pem ] && [ -s $accounts/mailboxes ] &&
	[ ! $accounts/passwd -nt $accounts/mailboxes ] &&
	read -r last < $queue/.root && [ "$last" = "$root" ]; then
	exit 0
fi 2>/dev/null

umask 022
[ -d /srv/mail ] || install -d -o vmail -g vmail -m 0700 /srv/mail
mkdir -p $accounts $tls $queue

# The numbers of Postfix's user and groups may differ from root to root.
chown root:root $queue
for folder in active bounce corrupt defer deferred flush hold incoming private saved trace; do
	mkdir -p -m 0700 $queue/$folder
	chown -R postfix:root $queue/$folder
done
for folder in maildrop public; do
	mkdir -p $queue/$folder
	chown -R postfix:postdrop $queue/$folder
done
chmod 0730 $queue/maildrop
chmod 0710 $queue/public
mkdir -p $queue/pid

# Whole or absent: a power cut leaves no half of it. Whoever trusts it trusts this
# server and nothing that it might sign.
if [ ! -s $tls/key.pem ] || [ ! -s $tls/cert.pem ]; then
	cat > $tls/request <<-END
		[req]
		distinguished_name = name
		x509_extensions = extensions
		prompt = no
		[name]
		CN = $(hostname)
		[extensions]
		basicConstraints = critical, CA:FALSE
		keyUsage = critical, digitalSignature
		extendedKeyUsage = serverAuth
		subjectKeyIdentifier = hash
		subjectAltName = DNS:localhost, DNS:$DOMAIN, DNS:$(hostname), IP:127.0.0.1, IP:::1
	END
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 3650 \
		-config $tls/request -keyout $tls/key.new -out $tls/cert.new
	chmod 0600 $tls/key.new
	sync $tls/key.new $tls/cert.new
	mv $tls/key.new $tls/key.pem
	mv $tls/cert.new $tls/cert.pem
	sync $tls
	rm $tls/request
fi

# Accounts: those of this root that the disk does not know yet. A password that
# stands there already is the one that counts.
touch $accounts/passwd
chmod 0640 $accounts/passwd
chown root:dovecot $accounts/passwd
for user in $(getent group mailusers | cut -d: -f4 | tr , ' '); do
	grep -q "^$user:" $accounts/passwd && continue
	hash=$(getent shadow "$user" | cut -d: -f2)
	echo "$user:$hash:5000:5000::/srv/mail/$user::" >> $accounts/passwd
done
sync $accounts/passwd
[ -e $accounts/relay ] || (umask 077 && : > $accounts/relay)

sed -n "s/^\([^:]*\):.*/\1@$DOMAIN ok/p" $accounts/passwd > $accounts/mailboxes
: > $accounts/aliases
for name in root postmaster abuse mailer-daemon; do
	echo "$name@$DOMAIN $MAILUSER@$DOMAIN" >> $accounts/aliases
done
echo "$root" > $queue/.root
