/** What counts as the same sender in a greylist. */

/** BATV: `prvs=0123abcdef=user`, older `prvs=user/0123abcdef`, and Barracuda's `btv1==0123abcdef==user`. */
const BATV = [/^prvs=[0-9a-f]{6,16}=(.+)$/is, /^prvs=(.+)\/[0-9a-f]{6,16}$/is, /^btv1==[0-9a-z]+==(.+)$/is];
/** The hash and the day of `SRS0=hash=day=domain=user`, also within SRS1. */
const SRS0_PART = /^(SRS0[-+=])[^=]+=[^=]+=(?=[^=]+=.)/is;
const SRS1_PART = /^(SRS1[-+=])[^=]+=([^=]+)=([-+=])[^=]+=[^=]+=(?=[^=]+=.)/is;
/** What follows a plus sign: a subaddress, or a return path made for one message. */
const EXTENSION = /(?<=.)\+.*$/s;
const WORD = /[0-9a-z]+/gi;
const NUMBER = /^[0-9]+$/;
/** Hexadecimal digits, with a decimal one among them, as words such as `decade` are not meant. */
const HEX = /^(?=.*[0-9])[0-9a-f]{6,}$/i;
const LONG = /^(?=.*[0-9]).{16,}$/;

/**
 * A sender without the parts that change from message to message: the signatures of BATV and SRS, and in return paths of mailing
 * lists (VERP) the number of the message. Letter case and angle brackets are removed, too.
 *
 * ```
 * foldSender('<prvs=4127a1b2c3=joe@example.com>')        // 'joe@example.com'
 * foldSender('SRS0=HHHH=TT=a.example=joe@fwd.example')   // 'srs0=a.example=joe@fwd.example'
 * foldSender('bounce-4711-joe=b.example@list.example')   // 'bounce-#-joe=b.example@list.example'
 * ```
 */
export function foldSender(sender: string): string {
  const bare = (sender.startsWith('<') && sender.endsWith('>') ? sender.slice(1, -1) : sender).toLowerCase();
  const at = bare.lastIndexOf('@');
  if (at <= 0) return bare;
  return `${foldLocalPart(bare.slice(0, at))}${bare.slice(at)}`;
}

function foldLocalPart(signed: string): string {
  let local = signed;
  for (const form of BATV) local = local.replace(form, '$1');
  if (/^srs[01][-+=]/.test(local)) return local.replace(SRS0_PART, '$1').replace(SRS1_PART, '$1$2=$3');
  return local
    .replace(EXTENSION, '')
    .replace(WORD, (word) => (NUMBER.test(word) || HEX.test(word) || LONG.test(word) ? '#' : word));
}
