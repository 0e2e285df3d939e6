// What a PAC script may call, as Chromium has it. The engine hands it the natives.
export default function (lookUp, mine, glob, inNet, inPrefix, sorted) {
  const world = globalThis;
  const days = ['SUN', 'MON', 'TUE', 'WED', 'THU', 'FRI', 'SAT'];
  const months = ['JAN', 'FEB', 'MAR', 'APR', 'MAY', 'JUN', 'JUL', 'AUG', 'SEP', 'OCT', 'NOV', 'DEC'];
  const expressions = new Map();

  // Whether a value lies in a range that may go over the end: Friday to Monday, November to March.
  function lies(from, value, to) {
    return from <= to ? from <= value && value <= to : from <= value || value <= to;
  }

  // The arguments without a last "GMT", and the present in that zone or in the host's own.
  function present(given) {
    const words = Array.from(given);
    const date = new Date();
    const universal = words[words.length - 1] === 'GMT';
    if (universal) {
      words.pop();
    }
    const part = (name) => date[(universal ? 'getUTC' : 'get') + name]();
    return { words, part };
  }

  // What a pattern means as a regular expression; each is made once.
  function patternOf(pattern) {
    if (typeof pattern !== 'string') {
      throw new TypeError('shExpMatch: the pattern is not a string');
    }
    let expression = expressions.get(pattern);
    if (expression === undefined) {
      const parts = { '.': '\\.', '*': '.*', '?': '.' };
      expression = new RegExp('^' + pattern.replace(/[.*?]/g, (one) => parts[one]) + '$');
      if (expressions.size < 1000) {
        expressions.set(pattern, expression);
      }
    }
    return expression;
  }

  // Day, month and year as one number that grows with the date, and which of them were given.
  function dated(words) {
    const date = { kinds: '', key: 0 };
    for (const word of words) {
      const number = parseInt(word, 10);
      if (isNaN(number)) {
        const month = months.indexOf(word);
        date.kinds += month < 0 ? '?' : 'm';
        date.key += month * 32;
      } else {
        date.kinds += number < 32 ? 'd' : 'y';
        date.key += number < 32 ? number : number * 512;
      }
    }
    return date;
  }

  world.alert = function () {};
  world.getClientVersion = function () {
    return '1.0';
  };

  world.isPlainHostName = function (host) {
    return !host.includes('.') && !host.includes(':');
  };
  world.dnsDomainIs = function (host, domain) {
    return host.length >= domain.length && host.substring(host.length - domain.length) === domain;
  };
  world.localHostOrDomainIs = function (host, full) {
    return host === full || full.startsWith(host + '.');
  };
  world.dnsDomainLevels = function (host) {
    return host.split('.').length - 1;
  };
  world.shExpMatch = function (text, pattern) {
    const matched = typeof pattern === 'string' ? glob(String(text), pattern) : null;
    // A pattern with more than stars and question marks is a regular expression, as in browsers.
    return matched === null || matched === undefined ? patternOf(pattern).test(text) : matched;
  };

  world.convert_addr = function (text) {
    const parts = text.split('.');
    return [0, 1, 2, 3].reduce((sum, place) => (sum << 8) | (parts[place] & 255), 0);
  };
  function resolve(name) {
    const found = lookUp(String(name)).find((address) => !address.includes(':'));
    return found === undefined ? null : found;
  }
  world.dnsResolve = resolve;
  world.isResolvable = function (name) {
    return world.dnsResolve(name) !== null;
  };
  world.isInNet = function (name, network, mask) {
    // Where the script has a function of its own for names, that is the one.
    const own = world.dnsResolve !== resolve && !/^\d+(\.\d+){3}$/.test(name);
    const address = own ? world.dnsResolve(name) : name;
    return address !== null && inNet(String(address), String(network), String(mask));
  };
  world.myIpAddress = function () {
    const all = mine();
    return all.find((address) => !address.includes(':')) || all[0] || '127.0.0.1';
  };

  world.dnsResolveEx = function (name) {
    return lookUp(String(name)).join(';');
  };
  world.isResolvableEx = function (name) {
    return lookUp(String(name)).length > 0;
  };
  world.myIpAddressEx = function () {
    return mine().join(';');
  };
  world.isInNetEx = function (address, prefix) {
    return inPrefix(String(address), String(prefix));
  };
  world.sortIpAddressList = function (list) {
    const result = sorted(String(list));
    return result === null || result === undefined ? false : result;
  };

  world.weekdayRange = function () {
    const { words, part } = present(arguments);
    const from = days.indexOf(words[0]);
    const to = words.length === 2 ? days.indexOf(words[1]) : from;
    return from >= 0 && to >= 0 && lies(from, part('Day'), to);
  };
  world.dateRange = function () {
    const { words, part } = present(arguments);
    const half = words.length >> 1;
    const from = dated(words.length === 1 ? words : words.slice(0, half));
    const to = dated(words.slice(half));
    if (from.kinds === '' || from.kinds !== to.kinds || from.kinds.includes('?')) {
      return false;
    }
    const now =
      (from.kinds.includes('y') ? part('FullYear') * 512 : 0) +
      (from.kinds.includes('m') ? part('Month') * 32 : 0) +
      (from.kinds.includes('d') ? part('Date') : 0);
    return lies(from.key, now, to.key);
  };
  world.timeRange = function () {
    const { words, part } = present(arguments);
    const given = words.map(Number);
    const hour = part('Hours');
    const minute = hour * 60 + part('Minutes');
    const second = minute * 60 + part('Seconds');
    switch (given.length) {
      case 0:
        return false;
      case 1:
        return hour === given[0];
      case 2:
        // Two hours do not go over midnight, in Chromium neither; both belong to the range.
        return given[0] <= hour && hour <= given[1];
      case 4:
        return lies(given[0] * 60 + given[1], minute, given[2] * 60 + given[3]);
      case 6:
        return lies(
          (given[0] * 60 + given[1]) * 60 + given[2],
          second,
          (given[3] * 60 + given[4]) * 60 + given[5],
        );
      default:
        throw new RangeError('timeRange: ' + given.length + ' numbers');
    }
  };
}
