/** Contract 2: checking the family narrows hostaddr. */
import * as Milter from 'tsmilter';
import { check, type Equal } from './equal.js';

export class Narrowing extends Milter.Base {
  override connect(hostname: string, ...[family, hostaddr]: Milter.Peer) {
    check<Equal<typeof hostname, string>>();
    switch (family) {
      case Milter.AF_INET: {
        check<Equal<typeof hostaddr, [ip: string, port: number]>>();
        const [ip, port] = hostaddr;
        check<Equal<typeof ip, string>>();
        check<Equal<typeof port, number>>();
        // @ts-expect-error IPv4 has no third part
        hostaddr[2];
        break;
      }
      case Milter.AF_INET6: {
        const [ip, port, flowinfo, scopeid] = hostaddr;
        check<Equal<typeof ip, string>>();
        check<Equal<[typeof port, typeof flowinfo, typeof scopeid], [number, number, number]>>();
        break;
      }
      case Milter.AF_UNIX:
        check<Equal<typeof hostaddr, string>>();
        break;
      case Milter.AF_UNSPEC:
        check<Equal<typeof hostaddr, null>>();
        break;
      default:
        check<Equal<typeof family, never>>();
    }
    if (family === Milter.AF_INET6) hostaddr[3].toFixed();
    // @ts-expect-error unchecked, hostaddr may be a path or null
    hostaddr[0].length;
    return Milter.CONTINUE;
  }
}

export class WithoutPeer extends Milter.Base {
  override connect() {
    return Milter.CONTINUE;
  }
}

export class HostnameOnly extends Milter.Base {
  override connect(hostname: string) {
    return hostname === 'bad.example' ? Milter.REJECT : Milter.CONTINUE;
  }
}

export class Listed extends Milter.Base {
  override connect(hostname: string, ...peer: Milter.Peer) {
    return super.connect(hostname, ...peer);
  }
}

export class WrongHostname extends Milter.Base {
  // @ts-expect-error a host name is text
  override connect(hostname: number) {
    void hostname;
    return Milter.CONTINUE;
  }
}
