#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Runs in the new root when the image of the mail server is built.
set -eu
. /etc/mailserver.env

# The same number in every root: the mail on the data disk belongs to it.
groupadd -g 5000 vmail
useradd -u 5000 -g vmail -M -d /srv/mail -s /usr/sbin/nologin vmail

echo "$DOMAIN" > /etc/mailname
# Which root this is: setup.sh works once for each.
openssl rand -hex 16 > /etc/mailserver.id
cat >> /etc/postfix/main.cf <<END

# ---- from the definition ------------------------------------------------------
mydomain = $DOMAIN
myhostname = $DOMAIN
relayhost = $RELAYHOST
END

# Submission: STARTTLS and a password, and then to anywhere.
postconf -M submission/inet="submission inet n - n - - smtpd"
postconf -P submission/inet/syslog_name=postfix/submission \
	submission/inet/smtpd_tls_security_level=encrypt \
	submission/inet/smtpd_sasl_auth_enable=yes \
	submission/inet/smtpd_relay_restrictions=permit_sasl_authenticated,reject
# Everything is in its own VM: no second jail, which would need copies of files.
postconf -F '*/*/chroot=n'
for name in maildrop uucp ifmail bsmtp scalemail-backend mailman; do
	postconf -MX "$name/unix"
done

# Made when the package was installed: the same in every VM, so of no use.
rm -f /etc/ssl/private/ssl-cert-snakeoil.key /etc/ssl/certs/ssl-cert-snakeoil.pem \
	/etc/dovecot/private/dovecot.*

mkdir -p /etc/systemd/system-generators
ln -s /dev/null /etc/systemd/system-generators/postfix-instance-generator
systemctl -q disable postfix.service
systemctl -q enable postfix.service dovecot.service
# Nobody logs in, and nothing waits for the resolver's file.
systemctl -q mask postfix-resolvconf.path dovecot.socket systemd-logind.service
