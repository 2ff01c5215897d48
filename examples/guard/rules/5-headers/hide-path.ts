import { defineRule } from '../../rule';

export const hidePath = defineRule({
  name: 'hide_path',
  step: 'headers',
  doc: 'Mail from inside tells the world by its Received fields which hosts it has passed. Mode `tag` removes them.',
  clients: ['internal', 'authenticated'],
  check({ message: { headers } }) {
    const count = headers.fields('Received').length;
    if (count === 0) return null;
    return {
      reason: `${count} Received fields of our own`,
      edit: (message) => {
        message.headers.delete('Received');
      },
    };
  },
});
